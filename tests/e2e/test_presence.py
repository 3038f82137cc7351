"""
Who is online, as clients of both generations see it. PG, PI and PQ are the acceptance criteria.

Servers are shared with other tests, whose users may come and go: only users of this test count.
"""

from __future__ import annotations

import time

from tests.e2e.clients import Client
from tests.e2e.scenario import PATIENT, QUICK, PairScenario, for_each_kind, for_each_pairing_and_codec
from tests.e2e.server import PATIENCE


class Users(PairScenario):
    """
    Users whose names no other test uses.
    """

    options = QUICK
    config = PATIENT

    def log_in(self, name: str, generation: str | None = None) -> Client:
        """
        A client of that user, of the second generation if not said otherwise.
        """
        return self.user(generation or self.second, self.at, self.name(name))

    def known(self, asker: Client, *names: str) -> None:
        """
        Come back when these users are online for C{asker}. They may be at other nodes, of which the asker's hears a
        moment later.
        """
        users = [self.name(name) for name in names]
        late = time.monotonic() + PATIENCE
        while not all(asker.online(users).values()):
            self.assertLess(time.monotonic(), late, f"not online: {names}")

    def seen(self, client: Client, user: str | None = None) -> list[tuple[str, bool]]:
        """
        What the client's callback was told of users of this test, and of C{OPEN}: short names, and whether online.
        """
        own = self.name("")
        of = None if user is None else self.name(user)
        found = [(name.removeprefix(own), online) for name, online in client.presences(of)]
        return [(name, online) for name, online in found if "/" not in name]

    def wait_for(self, client: Client, *expected: tuple[str, bool], user: str | None = None) -> None:
        """
        Come back when that is what the client was told, and no more.
        """
        what = f"{client.name}: {expected}"
        client.driver.wait(lambda: len(self.seen(client, user)) >= len(expected), what)
        self.assertEqual(self.seen(client, user), list(expected))


@for_each_pairing_and_codec
class PresenceTests(Users):
    """
    Watchers are of the first generation, those they watch of the second.
    """

    def test_pg1_login(self) -> None:
        """
        PG1: Those who watch everybody hear of a login, once.
        """
        watchers = [self.log_in("watcher", self.first), self.log_in("other watcher", self.second)]
        for watcher in watchers:
            self.known(watcher, "watcher", "other watcher")
            watcher.watch_users()
        ann = self.log_in("ann")
        for watcher in watchers:
            self.wait_for(watcher, ("ann", True))
            self.fence(ann, watcher)
            self.wait_for(watcher, ("ann", True))

    def test_pg2_nameless(self) -> None:
        """
        PG2: One watcher hears of several logins in order; who has no name is invisible.
        """
        watcher = self.log_in("watcher", self.first)
        watcher.watch_users()
        nameless = self.logged_in(self.second, self.at)
        named = [self.log_in(name) for name in ("ann", "bob", "cat")]
        self.wait_for(watcher, ("ann", True), ("bob", True), ("cat", True))
        nameless.close()
        self.fence(named[0], watcher)
        self.wait_for(watcher, ("ann", True), ("bob", True), ("cat", True))

    def test_pg3_logout(self) -> None:
        """
        PG3, PG4: Logouts are heard of, each once; nobody hears of one that has no name.
        """
        watchers = [self.log_in("watcher", self.first), self.log_in("other watcher", self.second)]
        ann, bob = self.log_in("ann"), self.log_in("bob")
        nameless = self.logged_in(self.second, self.at)
        for watcher in watchers:
            self.known(watcher, "watcher", "other watcher", "ann", "bob")
            watcher.watch_users()
        nameless.close()
        ann.close()
        for watcher in watchers:
            self.wait_for(watcher, ("ann", False))
        bob.close()
        for watcher in watchers:
            self.wait_for(watcher, ("ann", False), ("bob", False))

    def test_pi1_one_user(self) -> None:
        """
        PI1, PI3: Those who watch one user hear of his login and his logout.
        """
        watchers = [self.log_in(f"watcher {number}", self.first) for number in range(2)]
        watchers.append(self.log_in("watcher 3", self.second))
        for watcher in watchers:
            watcher.watch_users(self.name("ann"))
        ann = self.log_in("ann")
        for watcher in watchers:
            self.wait_for(watcher, ("ann", True), user="ann")
        ann.close()
        for watcher in watchers:
            self.wait_for(watcher, ("ann", True), ("ann", False), user="ann")

    def test_pi2_nobody_else(self) -> None:
        """
        PI2: Who watches one user does not hear of another.
        """
        watcher = self.log_in("watcher", self.first)
        watcher.watch_users(self.name("cat"))
        bob = self.log_in("bob")
        self.logged_in(self.second, self.at)
        cat = self.log_in("cat")
        self.wait_for(watcher, ("cat", True), user="cat")
        bob.close()
        self.fence(cat, watcher)
        self.assertEqual(len(watcher.filter("presence")), 1)

    def test_several_connections(self) -> None:
        """
        A user is online from the first of his connections to the last, whatever their generations.
        """
        watcher = self.log_in("watcher", self.first)
        watcher.watch_users()
        watcher.watch_users(self.name("ann"))
        first, second, third = self.log_in("ann", "v2"), self.log_in("ann", "v7"), self.log_in("ann")
        self.wait_for(watcher, ("ann", True))
        first.close()
        third.close()
        self.fence(second, watcher)
        self.assertEqual(watcher.online([self.name("ann")]), {self.name("ann"): True})
        self.wait_for(watcher, ("ann", True))
        second.close()
        self.wait_for(watcher, ("ann", True), ("ann", False))
        self.wait_for(watcher, ("ann", True), ("ann", False), user="ann")
        self.log_in("ann")
        self.wait_for(watcher, ("ann", True), ("ann", False), ("ann", True))

    def test_killed(self) -> None:
        """
        A user whose process dies is offline.
        """
        watcher = self.log_in("watcher", self.first)
        mortal = self.mortal(self.second, self.at, self.name("ann"))
        watcher.watch_users(self.name("ann"))
        self.kill(mortal)
        self.wait_for(watcher, ("ann", False), user="ann")

    def test_unwatch(self) -> None:
        """
        Who does not watch any more hears nothing; and may watch again.
        """
        watcher = self.log_in("watcher", self.first)
        # Without a name, so that the watcher hears nothing of it.
        other = self.logged_in(self.first, self.at)
        for user in (None, self.name("ann")):
            watcher.watch_users(user)
            other.watch_users(user)
            watcher.unwatch_users(user)
        ann = self.log_in("ann")
        self.wait_for(other, ("ann", True), user="ann")
        self.fence(ann, watcher)
        self.assertEqual(watcher.filter("presence"), [])
        watcher.watch_users()
        watcher.watch_users(self.name("ann"))
        ann.close()
        self.wait_for(watcher, ("ann", False))
        self.wait_for(watcher, ("ann", False), user="ann")


@for_each_kind
class QueryTests(Users):
    """
    Asking who is online.
    """

    second = "v7"

    def everybody(self, asker: Client) -> list[str]:
        own = self.name("")
        return sorted(name.removeprefix(own) for name in asker.online() if name.startswith(own))

    def test_pq1_all(self) -> None:
        """
        PQ1: Nobody; two users; nobody again. The asker is never listed, and who has no name neither.
        """
        asker = self.log_in("asker", self.first)
        self.log_in("asker", "v2")
        nameless = self.logged_in("v2", self.at)
        self.assertEqual(self.everybody(asker), [])
        users = [self.log_in("ann", "v2"), self.log_in("bob", "v7"), self.log_in("bob", "v2")]
        self.known(asker, "ann", "bob")
        self.known(nameless, "ann", "bob", "asker")
        self.assertEqual(self.everybody(asker), ["ann", "bob"])
        self.assertNotIn("OPEN", asker.online())
        self.assertEqual(self.everybody(nameless), ["ann", "asker", "bob"])
        asker.watch_users()
        for user in users:
            user.close()
        asker.driver.wait(lambda: len(self.seen(asker)) >= 2, "both to be gone")
        self.assertEqual(self.everybody(asker), [])

    def test_pq2_some(self) -> None:
        """
        PQ2: Two users by name are offline, online, offline; the asker is reported like any other.
        """
        asker = self.log_in("asker", self.first)
        names = [self.name(name) for name in ("ann", "bob")]
        self.assertEqual(asker.online(names), dict.fromkeys(names, False))
        users = [self.log_in("ann", "v2"), self.log_in("bob", "v7")]
        self.known(asker, "ann", "bob")
        self.assertEqual(asker.online([names[1], self.name("asker")]), {names[1]: True, self.name("asker"): True})
        asker.watch_users()
        for user in users:
            user.close()
        asker.driver.wait(lambda: len(self.seen(asker)) >= 2, "both to be gone")
        self.assertEqual(asker.online(names), dict.fromkeys(names, False))

    def test_odd_names(self) -> None:
        """
        Names are taken as they are.
        """
        asker = self.log_in("asker", self.first)
        names = [self.name(name) for name in ("ü 世界", "🎉", 'q"q', "a|b+c", "true", "%_EVERYONE_%", "__proto__")]
        for number, name in enumerate(names):
            self.user(("v2", "v7")[number % 2], self.at, name)
        # The last one may be at another node, of which the asker's hears a moment later.
        asker.driver.wait(lambda: all(asker.online(names).values()), "all users")
        own = self.name("")
        self.assertEqual(sorted(name for name in asker.online() if name.startswith(own)), sorted(names))
