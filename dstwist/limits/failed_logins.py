"""
How many logins may fail: C{limits.maxFailedLoginsPerAddress} and C{limits.maxFailedLoginsPerUser}.

Failures are counted by address and by user name, each within C{limits.failedLoginWindow}. When a limit is reached, the
credentials of further logins are not checked until the window is over. A successful login clears the count of the user
name, since the user may mistype the password again. It does not clear the count of the address: a client that has an
account could otherwise guess the passwords of other accounts without end.

A login that is remembered (L{dstwist.connections.request_logins}) stays valid when a limit is reached, because another
client may have reached it. But the acceptance of a remembered login tells the client that the password is right. So
each login that a reached limit refuses counts as a guess at the remembered logins. When there were as many guesses as
the limit permits failures, remembered logins are refused as well. So a client has at most twice the tries of the limit.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.limits.addresses import key_of
from dstwist.limits.exceeded import LimitExceeded
from dstwist.limits.window_counter import window_counter

# Longer user names are cut to this length before they are counted.
_MAX_NAME_CHARACTERS = 256


class FailedLogins:
    """
    The failed logins of one server.
    """

    def __init__(self, settings: LimitSettings, clock: IReactorTime) -> None:
        window = settings.failed_login_window
        self._of_address = window_counter(settings.max_failed_logins_per_address, window, clock)
        self._of_user = window_counter(settings.max_failed_logins_per_user, window, clock)

    def check(self, address: str, credentials: Any, remembered: bool = False) -> LimitExceeded | None:
        """
        Why a login is refused before the password is checked; C{None} if it is not refused. The address and the user
        name decide.

        @param remembered: an equal login was accepted a moment ago, and is remembered.
        """
        key, name, times = key_of(address), _name(credentials), 2 if remembered else 1
        if self._of_address is not None and key is not None and self._of_address.is_full(key, times):
            return LimitExceeded("maxFailedLoginsPerAddress", "too many failed logins from this address")
        if self._of_user is not None and name is not None and self._of_user.is_full(name, times):
            return LimitExceeded("maxFailedLoginsPerUser", "too many failed logins of this user")
        return None

    def failed(self, address: str, credentials: Any, number: int = 1) -> None:
        """
        Count C{number} equal logins that were refused.
        """
        key, name = key_of(address), _name(credentials)
        if self._of_address is not None and key is not None:
            self._of_address.add(key, number)
        if self._of_user is not None and name is not None:
            self._of_user.add(name, number)

    def guessed(self, address: str, credentials: Any) -> None:
        """
        Count a login that L{check} has refused as a guess at the remembered logins. It counts for the limits that are
        reached, and for no others: it is not known whether the password is wrong.
        """
        key, name = key_of(address), _name(credentials)
        if self._of_address is not None and key is not None and self._of_address.is_full(key):
            self._of_address.add(key)
        if self._of_user is not None and name is not None and self._of_user.is_full(name):
            self._of_user.add(name)

    def succeeded(self, credentials: Any) -> None:
        """
        Clear the count of a user who has logged in.
        """
        name = _name(credentials)
        if self._of_user is not None and name is not None:
            self._of_user.clear(name)

    def stop(self) -> None:
        """
        Forget all failures, and cancel the timers.
        """
        for counter in (self._of_address, self._of_user):
            if counter is not None:
                counter.stop()


def _name(credentials: Any) -> str | None:
    name = credentials.get("username") if isinstance(credentials, dict) else None
    return name[:_MAX_NAME_CHARACTERS] if isinstance(name, str) else None
