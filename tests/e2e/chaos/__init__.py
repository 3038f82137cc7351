"""
Three nodes of a cluster under load, while their processes, their Redis and their connections to it fail.

=============  ========================================================================================================
L{.cluster}    the nodes, each with a proxy before its bus and one before its store
L{.faults}     what may happen to them
L{.client}     a client of either generation, that connects again when its node has gone
L{.book}       what clients were told, and what may not be
L{.presence},  the clients of one topic each: what they do under load, and what must hold
L{.rpc},
L{.records},
L{.events},
L{.listening}
L{.run}        rounds of load, fault, and rest
=============  ========================================================================================================

Everything runs on one reactor: the order in which clients send and hear is the order in which the book learns of it.
"""
