"""
A cluster of nodes in simulated time, with engines that fail: L{.world} is where to begin.

==================  ===================================================================================================
L{.time}            the time of the world, and the clock of a node that may sleep or die
L{.engines}         the bus, and the store with the membership table, with their faults
L{.plan}            what happens in a history
L{.world}           clients, and the faults of one history
L{.node}            a node made of product code
L{.arbiter}         the records in the store
L{.records}         the record service of a node, and its clients
L{.checks}          what must be true
L{.run}             many histories, from the command line
==================  ===================================================================================================
"""
