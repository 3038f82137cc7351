"""
Fuzzing: see C{fuzz/README.rst}.
"""
