"""
Makes FolderStore a type of its own; this file's place is twisted/plugins/ of any package. See docs/stores.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from dstwist.interfaces import IStore, IStoreMaker


@implementer(IPlugin, IStoreMaker)
class FolderStoreMaker:
    """
    C{storage: {type: folder, options: {folder: /srv/records}}}
    """

    name = "folder"

    def make(self, options: Mapping[str, Any], context: Any) -> IStore:
        # Imported when it is wanted: twistd loads all plug-ins at every start.
        from folder_store import FolderStore

        return FolderStore(options, context)


folder = FolderStoreMaker()
