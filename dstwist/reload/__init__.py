"""
What the server reads again while it runs: sections of the configuration (L{.sections}), and files that change
(L{.files}).
"""
