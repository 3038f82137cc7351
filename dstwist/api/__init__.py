"""
The interface for the application that runs in the process of the node: C{Node.api}.
"""
