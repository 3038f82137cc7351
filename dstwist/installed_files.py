"""
Files that come with dstwist, but are no modules.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

#: By name: the path in a checkout.
_IN_CHECKOUT = {"dstwist.service": "etc/systemd/dstwist.service"}


def find_installed_file(name: str) -> Path | None:
    """
    The path of the file C{name}, in the checkout or in the environment that has dstwist; C{None} if it is in neither.
    """
    checkout = Path(__file__).resolve().parent.parent
    installed = Path(sysconfig.get_path("data")) / "share" / "dstwist"
    places = (checkout / _IN_CHECKOUT[name], installed / name)
    return next((place for place in places if place.is_file()), None)
