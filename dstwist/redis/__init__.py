"""
A connection to Redis, used by the store.

=====================  ===============================================================================================
module                 task
=====================  ===============================================================================================
L{.interface}          Redis as its users see it
L{.errors}             the failures of calls
L{.settings}           the options of a connection
L{.link}               one ordered connection to one server, made anew whenever it is lost; its parts are:
L{.primary}            where the server is
L{.protocol}           one connection: commands out, answers in
L{.greeting}           the first commands on a connection: log in, and find out which server it is
L{.call}               one call
L{.outcomes}           hands out the outcomes of calls, some in each turn of the reactor
L{.scripts}            Lua scripts
L{.redo}               calls that Redis refused before it executed anything, and that are sent again in their order
=====================  ===============================================================================================

txredisapi imports the global reactor. So a module that imports L{.link} is imported only when a Redis is configured.
"""
