"""
Other nodes. A shared store decides; a message bus carries the news.

==========================  =========================================================================================
module                      task
==========================  =========================================================================================
L{.from_settings}           builds the part of a node from the settings
L{.node}                    the part that one node takes: all of the following together
L{.joining}                 its start waits until the others have heard of it
B{members}
L{.table}                   the membership table: which nodes there are, and which owns each partition
L{.next_table}              the reasons to change it
L{.leases}                  which nodes are dead, as one reader sees it
L{.partition_owners}        the owners that one node knows
L{.equal_settings}          settings that all nodes need alike
L{.departure}               the orderly stop of a member
L{.bus_watch}               for how long the bus of this node has been lost
L{.readings}                when a node renews its lease and reads the table
L{.members}                 the part that this node takes: renews its lease, writes the table if there is a reason
L{.condition}               whether each member is well, as this node knows it
L{.peers}                   direct messages between members
L{.messages}, L{.fields}    their format, and the checks of their fields
L{.figures}, L{.figures_log} what the parts have counted, for the application and in the log
B{names}
L{.kinds}                   the kinds of names
L{.directory}               which nodes hold a name, and which nodes are told so
L{.holdings}                the names that this node holds and watches, and what it has been told
L{.owned}                   a partition that this node owns
L{.absences}                its names that have no holder, until they are gone
L{.directory_messages}      its messages
L{.digest}                  sets that two nodes keep alike
B{news}
L{.subjects}                messages to the nodes that want a name
L{.interest}                the subjects of the bus that clients of this node want
L{.event_news}              the payload of an event
L{.record_news}             what is passed on to subscribers of records, by versions
L{.comparison}              finds news that the bus has lost
L{.unsent_news}             records of which this node's own news may have been lost
B{engines}
L{.bus_memory},             a bus and a table in memory, for nodes of one process
L{.table_memory}
L{.bus_redis}               a bus over the channels of a Redis; the table in a Redis is a part of that store
L{.outage_buffer}           the payloads that are kept while the bus is lost
==========================  =========================================================================================

Everything but the engines is sans-IO: it is given a clock, and engines behind interfaces
(L{dstwist.interfaces.cluster}). The simulation in C{tests/cluster/simulation} runs it with engines and nodes that fail.

L{.bus_redis} imports the global reactor by way of txredisapi, so it is imported only when a Redis is configured.
"""
