"""
Server-sent events: the events of one name, or one record, for programs that can only read HTTP.

::

    GET --> L{.handlers}: name, login, limits --> L{.stream}: subscribes, like a client --> router, permission, service
                                                     |
    client <-- writer <-- bytes that wait, limits <--+-- L{.wire}: one encoding for all streams <-- fan-out

=====================  ==================================================================================
L{.handlers}           the paths: from a request to a stream, or to an error with a status
L{.stream}             one stream, from its subscription to its end
L{.kinds}              the streams of events and those of records
L{.wire}               the form of events and records in the stream
L{.registry}           all streams of the node: how many there are, and their users
=====================  ==================================================================================

A stream is a party that makes requests, like a connection. It is not in presence, and its client cannot send anything.
"""
