"""
The RECORD topic: records, and lists.

==================================  ==================================================================================
module                              task
==================================  ==================================================================================
B{requests}
L{.service}                         the topic: makes the parts, and gives each request to one of them
L{.parts}                           the parts that several others need
L{.queue}                           the order: requests for one record are served one after the other
L{.pending}                         the bytes of the requests that wait there
L{.broken_steps}                    what the log and the clients are told if serving a request breaks
L{.read}, L{.write}, L{.delete}     the steps that serve a request in its turn
L{.decide}                          which write is accepted, which is a conflict, and the record that a write makes
L{.write_permission}                which rules a write needs
L{.sizes}                           how large a record may become
B{stores}
L{.store}                           the cache and the storage as one store
L{.commits}                         the writes that are under way there
L{.guesses}                         the records that this node has seen last, if only a server of its own has them
L{.attempts}                        how often a write is tried that other nodes overtake
L{.reconcile}                       asks the storage again after a write with an unknown outcome
L{.failures}                        the log line and the exception for a store that fails or is late
L{.comparison}                      makes clients and the memory cache agree with a store that may have gone back
L{.passed_on}                       the versions that subscribers have, for that comparison
L{.sweep}                           makes a remote cache agree with the storage, if one of them may have gone back
B{other nodes}
L{.nodes}                           sends them news, and receives theirs: the one module that knows of other nodes
L{.node_news}                       how news is written on the bus
B{messages to clients}
L{.updates}                         to subscribers of a record that no client here has written: why they are sent it
L{.news}                            to the subscribers: which message tells them of a change
L{.refusals}                        to the writer of a refused write: which messages, in which order, for each reason.
                                    On a conflict: C{RecordRefusals.conflict}
L{.acks}                            to the writer of any write that asks for it: when an acknowledgement is sent
L{.answers}                         the contents of these messages, for each generation of clients; decides nothing
L{.held_conflicts}                  delays the answer to a conflict by some milliseconds, for text clients
L{.held_discards}                   delays the acknowledgement of a discard, for text clients that reconnect
B{copies of clients}
L{.replicas}                        how the copy of a client may be wrong; read this one first
L{.reminders}                       sends the record again to clients whose write was refused
L{.recent_deletions}                finds late writes that are meant for a deleted record
L{.recent_reads}                    finds clients that subscribe with an old version, which they have read before
L{.early_writes}                    finds clients that reconnect, and write before they subscribe again
L{.shares}                          limits what one connection can use of these memories
==================================  ==================================================================================

The page "Architecture" (C{docs/architecture.rst}) walks through an acknowledged write, with the functions in their
order.
"""
