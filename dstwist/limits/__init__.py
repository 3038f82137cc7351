"""
How much clients may use: connections, bytes and messages in a second, memory, name lengths, lines of the log.

The values are settings of C{limits}; docs/configuration.rst lists them.
"""
