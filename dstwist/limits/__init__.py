"""
Limits for clients. The values are settings of C{limits}; docs/configuration.rst lists them.

================================  ==========================================================================
L{.admission}                     connections: in all, of an address, in a second
L{.failed_logins}                 failed logins: of an address, of a user
L{.rates}                         bytes and messages in a second: of a connection, of a user
L{.names}                         the length of names
L{.budgets}, L{.outgoing_bytes}   bytes kept for all clients together; bytes waiting to be sent to them
L{.log_lines}                     lines of the log
L{.open_files}                    the open files of the process, and the connections that they allow
================================  ==========================================================================

Several of these modules use L{.addresses}, L{.exceeded} and L{.window_counter}.
"""
