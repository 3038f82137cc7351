"""
Tests for L{dstwist.routing.provider_search}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.routing.provider_search import ProviderSearch, take_next
from dstwist.routing.registrations import Registration, Registrations
from tests.fakes import FakeConnection


class OrderTests(SynchronousTestCase):
    """
    L{ProviderSearch.waiting} and L{take_next}: the order in which registrations are tried.
    """

    def setUp(self) -> None:
        self.registrations = Registrations()

    def register(self, *patterns: str, connection: FakeConnection | None = None) -> list[Registration]:
        return [self.registrations.add(connection or FakeConnection(), text, 100, {}) for text in patterns]

    def search(self, after: int = 0) -> ProviderSearch:
        return ProviderSearch("a", after, self.registrations.latest)

    def order(self, search: ProviderSearch) -> list[int]:
        """
        The numbers of the registrations in the order in which C{search} tries them, the first early one first.
        """
        early, late = search.waiting(self.registrations.matching("a"))
        early.reverse()
        numbers = []
        while (registration := take_next(early, late, None)) is not None:
            numbers.append(registration.number)
        return numbers

    def test_early(self) -> None:
        """
        Those that were there when the search began are tried in the order of the table: by pattern, then by number.
        """
        self.register("a", ".", "b", "a")
        self.assertEqual(self.order(self.search()), [1, 4, 2])

    def test_late(self) -> None:
        """
        Those that came later are tried after them, in the order of their numbers, whatever their patterns.
        """
        self.register("a", ".")
        search = self.search()
        self.register("a", ".", "a", "b")
        self.assertEqual(self.order(search), [1, 2, 3, 4, 5])

    def test_after(self) -> None:
        """
        A search for new listeners leaves out those that an earlier search has tried.
        """
        self.register("a", "a", "a")
        self.assertEqual(self.order(self.search(after=2)), [3])

    def test_passed_over(self) -> None:
        """
        A registration that was passed over or refused is not tried again; if it was refused, its connection is known.
        """
        connection = FakeConnection()
        one, two, other = self.register("a", ".", connection=connection) + self.register("a")
        search = self.search()
        search.pass_over(one)
        self.assertEqual((self.order(search), set(search.refused)), ([3, 2], set()))
        search.refuse(two)
        self.assertEqual((self.order(search), set(search.refused)), ([3], {connection}))
        self.assertEqual(self.order(self.search()), [1, 3, 2])
        self.assertNotIn(other, search.tried)

    def test_readmit(self) -> None:
        """
        A connection can be readmitted: all of its registrations are tried again, and no others.
        """
        connection = FakeConnection()
        registrations = self.register("a", ".", connection=connection) + self.register("a")
        search = self.search()
        for registration in registrations:
            search.pass_over(registration)
        self.assertEqual(self.order(search), [])
        search.readmit(connection)
        self.assertEqual(self.order(search), [1, 2])

    def test_choose(self) -> None:
        """
        A choice is among the early ones only, and each of them is taken once.
        """
        early, late = self.register("a", "a", "a"), self.register("a")
        asked: list[int] = []

        def first(places: object) -> int:
            asked.append(len(places))  # type: ignore[arg-type]
            return 0

        taken = []
        while (registration := take_next(early, late, first)) is not None:
            taken.append(registration.number)
        self.assertEqual((taken, asked), ([1, 3, 2, 4], [3, 2]))
