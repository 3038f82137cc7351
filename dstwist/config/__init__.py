"""
Reads configuration files into settings (L{dstwist.config.settings}).
"""
