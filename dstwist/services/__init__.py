"""
The semantics of the topics, one module each.
"""
