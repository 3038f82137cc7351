"""
Reading again while the server runs: sections of the configuration (L{.sections}), and files that change (L{.files}).
"""
