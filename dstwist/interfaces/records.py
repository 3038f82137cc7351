"""
Where records are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.record import Record


class IStore(Interface):
    """
    Where records are kept: a cache, or a storage.

    Operations on one name take effect in the order in which they are called; a store may group the writes of different
    names. A store that knows the answer returns a Deferred that has fired already: callers then go on at once. All
    Deferreds fail with L{dstwist.errors.StoreError} if the store cannot do what is asked. Callers watch the time; what
    an operation does after its caller gave up is up to the store, and other than being cancelled.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Nothing else is called before the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Finish what was asked so far, and let go of everything. Nothing is called after that.
        """

    def get(name: str) -> Deferred[Record | None]:
        """
        The record of that name; C{None} if there is none.
        """

    def set(name: str, version: int, data: Any) -> Deferred[None]:
        """
        Keep a record, whatever was there. A durable store has it on disk when the Deferred fires.
        """

    def delete(name: str) -> Deferred[None]:
        """
        Forget a record. It is no failure if there is none.
        """


class IRecordStore(IStore):
    """
    A store that takes a record as the object it is, so that its JSON text is made once for all.
    """

    def write(name: str, record: Record) -> Deferred[None]:
        """
        Like C{set}.
        """


class IInstantStore(IRecordStore):
    """
    A store that can do without Deferreds, at least now and then: those of two calls cost as much as a write to memory.
    """

    def known(name: str) -> Record | None:
        """
        The record of that name, if it can be told at once. C{None} says nothing: C{get} has to be asked.
        """

    def keep(name: str, record: Record) -> bool:
        """
        Keep a record at once, like C{set}. Otherwise do nothing, and give C{False}: C{set} has to be asked.
        """


class IStoreStatus(Interface):
    """
    A store that can report its state. Both methods answer at once.
    """

    def contents() -> str:
        """
        The content that the store found at the start, in a few words for the log: C{1234 records}, or that there is
        nothing yet.
        """

    def problem() -> str | None:
        """
        Why the store cannot write at present, as far as it knows; C{None} if it can. While there is a reason, the
        server tells load balancers that it is not ready. A limit that the operator has set is no such problem, nor is
        one write that cannot be done: clients could cause them.
        """


class IStoreMaker(Interface):
    """
    Makes the stores of a type that does not come with dstwist. A L{twisted.plugin.IPlugin} in C{twisted.plugins} that
    provides this is found by its name.
    """

    name: str = Attribute("What the configuration calls it: C{storage: {type: <name>}}.")

    def make(options: Mapping[str, Any], context: Any) -> IStore:
        """
        A store; nothing is opened before its start.

        @param options: as they stand in the configuration.
        @param context: a L{dstwist.plugins.PluginContext}.
        @raise ValueError: the options cannot be used. The text says which, and why.
        """
