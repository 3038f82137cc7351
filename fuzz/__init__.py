"""
Looking for input that breaks something, a module a target::

    make fuzz FUZZ_SECONDS=600
    python -m fuzz --seconds 60 text node

A target has C{SEEDS}, good input to start from, and C{attempt}, which takes any bytes and raises if something is wrong
that these have brought about. What was found is kept in C{fuzz/corpus/<target>/}, and tried with every test run
(C{tests/test_fuzz.py}).
"""
