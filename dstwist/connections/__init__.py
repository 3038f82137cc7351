"""
Client connections, from the handshake to the end, whatever transport carries them.

==========================  ================================================================================
L{.connection}              one client: its requests in order, its heartbeat, its end
L{.handshake}               a client until it is logged in
L{.endpoint}                what the connections of one entry of C{connectionEndpoints} share
L{.users}                   which users are logged in, and through which connections
L{.heartbeat}, L{.expiry}   the timers of a connection
L{.wrong_protocol}          log lines about clients that speak the protocol of the other generation
==========================  ================================================================================
"""
