"""
Clients of other languages than JavaScript: what they send and what they wait for, as dialogs with a real server.
"""
