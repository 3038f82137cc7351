"""
The command C{dstwist}, for people.
"""
