"""
The codes with which WebSockets are closed (RFC 6455, section 7.4.1), each exactly once.
"""

from __future__ import annotations

#: No error: the client is rejected or redirected, as the configuration says.
NORMAL = 1000
#: The server shuts down.
GOING_AWAY = 1001
#: The client sent text that is not UTF-8.
INVALID_PAYLOAD = 1007
#: The client violated a rule or a limit; the reason says which.
POLICY_VIOLATION = 1008
#: The server failed unexpectedly.
INTERNAL_ERROR = 1011
#: The server is overloaded.
TRY_AGAIN_LATER = 1013
