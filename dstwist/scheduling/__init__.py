"""
How the server shares its time among clients.

====================  ==================================================================
L{.turns}             the turns of the reactor, and the parties that wait for a later one
L{.time_slices}       long work, cut into steps and done a time slice in each turn
L{.work_queue}        the requests of one requester, in order
L{.deadlines}         many deadlines on one timer
L{.drain}             the end of the operations that began before a change
L{.firing}            a Deferred for an operation that tells its outcome by a callback
====================  ==================================================================
"""
