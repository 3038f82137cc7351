"""
Plug-ins: classes of the operator. Some do the work of a part of the server: stores, authenticators, permissions. Others
run beside the parts: the entries of C{plugins}.

=================  =========================================================================================
module             task
=================  =========================================================================================
L{.loading}        finds and calls the class that a section of the configuration names, for all plug-ins
L{.plugin}         the base class of the entries of C{plugins}
L{.hosting}        makes, starts and stops these entries, and tells them of logins
=================  =========================================================================================

Authors of plug-ins import all names from the package.
"""

from __future__ import annotations

from dstwist.plugins.loading import NotInstalled, PluginContext, load_plugin
from dstwist.plugins.plugin import Plugin

__all__ = ["NotInstalled", "Plugin", "PluginContext", "load_plugin"]
