"""
An authenticator of your own: clients of certain networks may connect, and get a role for the permission rules.

In config.yml::

    auth:
      - path: by_address.py:AddressAuthentication
        options:
          networks: {"10.0.0.0/8": backend, "127.0.0.1/32": admin}
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from zope.interface import implementer

from dstwist.interfaces import HandshakeData, IAuthenticator, Login


@implementer(IAuthenticator)
class AddressAuthentication:
    """
    Lets in by address. Made once, at start, with the options of the configuration.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        # If this raises an exception, the server does not start, and shows it with the place in config.yml.
        self._roles = {ip_network(network): role for network, role in options["networks"].items()}

    # Without "async", it can also return a Deferred, or the Login itself.
    async def login(self, handshake: HandshakeData, credentials: Any) -> Login:
        address = ip_address(handshake.address)
        for network, role in self._roles.items():
            if address in network:
                return Login(True, str(address), client_data=b'{"welcome":true}', server_data={"role": role})
        # Not our business: the next entry of "auth" is asked. With final=True, the default, this would be a refusal.
        return Login(False, final=False)
