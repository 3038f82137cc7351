"""
Reading configuration files: what may stand in them, and what it comes to (L{dstwist.config.settings}).
"""
