"""
A cluster of nodes in simulated time, with engines that fail: L{.world} is where to begin.

==================  ===================================================================================================
L{.time}            the time of the world, and the clock of a node that may sleep or die
L{.engines}         the bus, the membership table and the store of records, with their faults
L{.world}           nodes made of product code, the faults of one history, and what must be true
L{.run}             many histories, from the command line
==================  ===================================================================================================
"""
