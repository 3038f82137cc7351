"""
The administration of a running server: commands of an operator, as HTTP with JSON answers on a unix socket.

::

    dstwist admin COMMAND --> socket --> Route --> CommandHandler --> Command.run(Parameters) --> JSON

=======================  ===============================================================================================
L{.commands}             what a command is: its name, its parameters, its errors
L{.handler}              a command as the handler of a route
L{.parts}                the parts of the node that commands look at
L{.pages}                long lists, in pages and in time slices
L{.lists}                the same, of one node or of all
L{.server}               the socket, and the TCP endpoint with its token
L{.all_commands}         all commands
L{.overview} and so on   the commands, one module a subject
=======================  ===============================================================================================

Always true: a command that looks at all clients or all names does it in time slices, and keeps no more than one page of
them. A command that asks a store waits for it for a limited time, and then says that it did not answer.
"""
