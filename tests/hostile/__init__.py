"""
Hostile clients, and what they are able to do to a server: nothing but cost it a line in its log.

L{tests.hostile.attacks} has what they do, L{tests.hostile.stage} the server they do it to and a client beside them who
is to notice nothing. C{tests.e2e.test_hostile} runs them all, each on a small scale; C{make hostile} on a larger one.

L{tests.hostile.figures} measures single attacks, each on a server of its own: memory, turns, and how long others wait.
C{make figures} prints the table. It can measure the server of another checkout, to compare.

L{tests.hostile.largest} sends every kind of request at its largest size and prints the longest turns; C{make largest}.
"""
