"""
How the server shares its time among clients: slices of a reactor turn (L{.slices}), many deadlines on one timer
(L{.deadlines}), and the end of what began before a change (L{.drain}).
"""
