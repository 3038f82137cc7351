"""
The process around a node: its signals, its start in the background, its service manager, its files and its end.
"""
