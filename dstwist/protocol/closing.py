"""
With which codes a WebSocket is closed (RFC 6455, section 7.4.1), each exactly once.
"""

from __future__ import annotations

#: Nothing is wrong: the client is rejected, or sent elsewhere, as the configuration says.
NORMAL = 1000
#: The server shuts down.
GOING_AWAY = 1001
#: Text that is no UTF-8.
INVALID_PAYLOAD = 1007
#: The client broke a rule, or a limit; the reason says which.
POLICY_VIOLATION = 1008
#: A mistake of the server.
INTERNAL_ERROR = 1011
#: The server has too much to do for that now.
TRY_AGAIN_LATER = 1013
