"""
Tests for L{dstwist.store.redis}, with real Redis servers.
"""

from __future__ import annotations

from zope.interface.verify import verifyObject

from dstwist.interfaces import ICallbackStore, IEnumerableStore, IStoreStatus
from tests.store import contract
from tests.store.redis_stage import RedisTestCase


class ContractTests(RedisTestCase, contract.SharedStoreContract):
    """
    The contract of stores, on one server.
    """

    def test_more_interfaces(self) -> None:
        """
        It provides the other interfaces of stores, too.
        """
        for interface in (ICallbackStore, IStoreStatus, IEnumerableStore):
            verifyObject(interface, self.make())


class LegacyContractTests(ContractTests):
    """
    The same with one key for each record.
    """

    options = {"legacy_layout": True}


class PrefixContractTests(ContractTests):
    """
    The same with a prefix, which looks like a pattern.
    """

    options = {"prefix": "[a-z]*\\é:"}


class ExpiringContractTests(ContractTests):
    """
    The same with records that expire.
    """

    options = {"ttl": 1000}


class ExpiringLegacyContractTests(ContractTests):
    """
    The same with one key for each record.
    """

    options = {"ttl": 1000, "legacy_layout": True}
