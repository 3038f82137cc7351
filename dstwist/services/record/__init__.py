"""
The RECORD topic: records, and lists.

================================  ==========================================================================
L{.service}                       the topic: from an action to the parts below
L{.queue}                         the requests for one record, in order
L{.read}, L{.write}               what a request does when its turn comes
L{.store}                         the cache and the storage as one
L{.sizes}                         the size of each record, and its limits
L{.news}                          what subscribers are told of a write
L{.answers}, L{.acks}             what the writer is told, and when
L{.refusals}, L{.held_conflicts}       what a client is told whose request is refused, and when
L{.replicas}                      what clients may wrongly believe of a record; L{.recent_deletions}, L{.recent_reads}
                                  and L{.held_discards} are the memory behind it, in L{.shares} for each connection
================================  ==========================================================================
"""
