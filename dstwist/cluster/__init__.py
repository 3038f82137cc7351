"""
How the nodes of a cluster reach each other. So far there is only a cluster of one node.
"""
