"""
Client connections, from the handshake to the end, whatever transport carries them.

==========================  ================================================================================
L{.connection}              one client: its messages, its heartbeat, its end
L{.handshake}               the steps of a client until it is logged in
L{.before_login}            the time and the messages that it has for that
L{.login}                   the decision on a login with all its limits, for clients without a WebSocket as well
L{.endpoint}                what the connections of one entry of C{connectionEndpoints} share
L{.users}                   which users are logged in, and through which connections
L{.heartbeat}, L{.expiry}   the timers of a connection
L{.wrong_protocol}          log lines about clients that speak the protocol of the other generation
==========================  ================================================================================
"""
