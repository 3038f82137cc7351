"""
The RECORD topic: records, and lists.

==================================  ==================================================================================
module                              task
==================================  ==================================================================================
B{requests}
L{.service}                         the topic: makes the parts, and gives each request to one of them
L{.queue}                           the requests for one record, one after the other
L{.read}, L{.write}, L{.delete}     the steps that serve a request in its turn
L{.write_permission}                the rules that a write needs
L{.sizes}                           the limits for the size of a record
B{stores}
L{.store}                           the cache and the storage as one store
L{.reconcile}                       the records whose last write has an unknown outcome
L{.failures}                        the log line and the error for each failure of a store
B{messages to clients}
L{.news}                            the messages that tell subscribers of a change
L{.answers}                         the answers to requests, in the form that the client's generation knows
L{.refusals}                        the answer to a refused write, and the record if the writer's copy is wrong
L{.acks}                            write acknowledgements
L{.held_conflicts}                  answers to conflicts that are held for a moment, for text clients
L{.held_discards}                   acknowledgements of discards that are held for a moment, for text clients
B{copies of clients}
L{.replicas}                        what each client may wrongly believe of a record: all events and questions
L{.reminders}                       the copies that may be wrong after a refused write, and when they are repaired
L{.recent_deletions}                deleted records, to which late writes may still come
L{.recent_reads}                    reads whose clients may subscribe next
L{.shares}                          the share of each connection in these memories
==================================  ==================================================================================

The way of an acknowledged write, with the functions in their order:

1. L{RecordService.handle<dstwist.services.record.service.RecordService.handle>} finds the function for the action.
2. L{RecordWriter.handle<dstwist.services.record.write.RecordWriter.handle>} serves the write at once if nothing makes
   it wait: it does steps 4 to 6 itself, and stores the record by C{RecordStore.keep} instead of step 7.
3. Otherwise L{RecordQueue.start<dstwist.services.record.queue.RecordQueue.start>} runs C{RecordWriter._serve}; or
   L{RecordQueue.submit<dstwist.services.record.queue.RecordQueue.submit>} lets the request wait until the requests
   before it are served. C{_serve} gets the record from
   L{RecordStore.load<dstwist.services.record.store.RecordStore.load>}.
4. A L{Change<dstwist.record.Change>} of the record is made.
5. C{IPermission.allows} decides about that change. If several rules apply,
   L{WritePermission.check_effect<dstwist.services.record.write_permission.WritePermission.check_effect>} asks for each.
6. C{RecordWriter._decide} compares the versions.
   L{RecordSizes.make<dstwist.services.record.sizes.RecordSizes.make>} computes the new record. Otherwise there is a
   refusal: a method of L{RecordRefusals<dstwist.services.record.refusals.RecordRefusals>}, which is called in step 8.
7. L{RecordStore.commit<dstwist.services.record.store.RecordStore.commit>} writes the record, together with the writes
   that were queued meanwhile, to the storage and then to the cache.
8. L{RecordNews.written<dstwist.services.record.news.RecordNews.written>} chooses the news.
   C{SubscriptionRegistry.publish} encodes it once for each wire, and writes the frame to all other subscribers.
9. L{Acknowledgements.accepted<dstwist.services.record.acks.Acknowledgements.accepted>} sends the writer its
   L{acknowledgement<dstwist.services.record.answers.acknowledgement>}; a text client gets it a moment later.
"""
