"""
Links to Redis, used by the store and by the message bus between nodes.

=====================  ===============================================================================================
module                 task
=====================  ===============================================================================================
L{.interface}          Redis as its users see it
L{.errors}             the failures of calls
L{.link}               one ordered link to one server; its parts are:
L{.reconnection}       makes the connection, and makes it anew whenever it is lost
L{.primary}            where the server is, when the configuration says it
L{.sentinel}           where the server is, as the Sentinels know it
L{.asker}              asks a server about other servers
L{.protocol}           one connection: commands out, answers in
L{.greeting}           the first commands on a connection: log in, and find out which server it is
L{.watch}              whether the server is still there
L{.trouble}            why a server that answers does not do what it is asked
L{.call}               one call
L{.outcomes}           hands out the outcomes of calls, some in each turn of the reactor
L{.scripts}            Lua scripts
L{.redo}               calls that Redis refused before it executed anything, and that are sent again in their order
L{.subscriber}         subscriptions to channels, on a connection of their own
L{.any_primary}        any primary of a Redis Cluster, for publishing and subscriptions
L{.cluster}            a Redis Cluster; its parts are:
L{.cluster_links}      the links to the primaries, and which of them has which slots
L{.cluster_map}        asks the nodes for the map of the slots
L{.held}               the calls of one slot while they cannot be sent at once
L{.slots}              the slot of a key
=====================  ===============================================================================================

txredisapi imports the global reactor. So a module that imports L{.link} is imported only when a Redis is configured.
"""
