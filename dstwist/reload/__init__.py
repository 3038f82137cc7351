"""
Reading again while the server runs: what SIGHUP reloads (L{.on_sighup}), and files that change (L{.files}).
"""
