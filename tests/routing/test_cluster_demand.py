"""
Tests for L{dstwist.routing.cluster_demand}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import TEXT
from dstwist.scheduling.turns import TIME_SLICE
from tests.cluster import stage as cluster_stage
from tests.cluster.simulation.time import BusyTime
from tests.fakes import FakeConnection
from tests.routing.cluster_stage import DEATH, GONE, ClusterCase
from tests.routing.stage import Rule, Stage


class ClusterDemandTests(ClusterCase):
    """
    Subscribers and listeners on different nodes that work.
    """

    def test_other_node(self) -> None:
        """
        A name that is wanted on one node is offered to a listener of another one. The subscribers are told that it has
        a provider; the provider is told when the last subscriber has gone.
        """
        ann, bob = self.build()
        listener = bob.listener("^a/")
        self.wait()
        subscriber = ann.subscriber("a/1")
        self.wait()
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])
        self.assertEqual(ann.heard(subscriber), [])
        bob.accept(listener, "^a/", "a/1")
        self.wait()
        self.assertEqual(ann.heard(subscriber), ["PROVIDED a/1"])
        self.assertTrue(ann.listeners.provided("a/1"))
        subscriber.close()
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), ["REMOVED ^a/ a/1"])

    def test_whoever_owns(self) -> None:
        """
        The subscriber, the listener and the owner of the name may be on any nodes. A name that does not match is not
        offered.
        """
        stages = self.build(3)
        for wanting in range(3):
            for listening in range(3):
                names = [self.name_of(owner) for owner in range(3)]
                stage = stages[listening]
                listener = stage.listener("^a/")
                self.wait()
                subscribers = [stages[wanting].subscriber(name) for name in (*names, "b")]
                self.wait()
                self.assertEqual(sorted(stage.heard(listener)), sorted(f"FOUND ^a/ {name}" for name in names))
                for name in names:
                    stage.accept(listener, "^a/", name)
                self.wait()
                heard = [stages[wanting].heard(subscriber) for subscriber in subscribers]
                self.assertEqual(heard, [*([f"PROVIDED {name}"] for name in names), []])
                for subscriber in subscribers:
                    subscriber.close()
                self.wait(GONE)
                self.assertEqual(sorted(stage.heard(listener)), sorted(f"REMOVED ^a/ {name}" for name in names))
                listener.close()
                self.wait(GONE)

    def test_new_listener(self) -> None:
        """
        A new listener is offered the names that are wanted on all nodes; also another one for a pattern that is known.
        """
        ann, bob = self.build()
        names = ["a/1", "a/2", "a/3", "b"]
        for name in names:
            ann.subscriber(name)
        first = bob.listener("^a/")
        self.wait()
        found = [f"FOUND ^a/ {name}" for name in names[:3]]
        self.assertEqual(sorted(bob.heard(first)), found)
        for name in names[:3]:
            bob.reject(first, "^a/", name)
        self.wait()
        second = bob.listener("^a/")
        self.wait()
        self.assertEqual((bob.heard(first), sorted(bob.heard(second))), ([], found))

    def test_local_first(self) -> None:
        """
        The listeners of the node that was the first to want a name are offered it first; if they decline, those of the
        other nodes, one node after the other, each of them once (EL1, EL7, EL8).
        """
        stages = self.build(3)
        listeners = [stage.listener("^a/") for stage in stages for _ in range(2)]
        self.wait()
        stages[0].subscriber("a/1")
        asked = []
        for _ in range(6):
            self.wait()
            heard = [stages[0].heard(listener) for listener in listeners]
            (found,) = [number for number, each in enumerate(heard) if each]
            self.assertEqual(heard[found], ["FOUND ^a/ a/1"])
            asked.append(found)
            if len(asked) < 6:
                stages[found // 2].reject(listeners[found], "^a/", "a/1")
        self.assertEqual(asked[:2], [0, 1])
        self.assertEqual(sorted(asked), list(range(6)))
        self.assertEqual([asked[2] // 2, asked[4] // 2], [asked[3] // 2, asked[5] // 2])
        stages[asked[5] // 2].accept(listeners[asked[5]], "^a/", "a/1")
        self.wait(20)
        self.assertEqual([stages[0].heard(listener) for listener in listeners], [[]] * 6)

    def test_second_subscriber(self) -> None:
        """
        Subscribers on other nodes than the first are told of the provider; it is offered the name once, and told when
        the last of them has gone.
        """
        ann, bob, cat = self.build(3)
        first = ann.subscriber("a/1")
        listener = self.provider(bob, "^a/", "a/1")
        second, third = cat.subscriber("a/1"), bob.subscriber("a/1")
        self.wait()
        self.assertEqual([ann.heard(each) for each in (first, second, third)], [["PROVIDED a/1"]] * 3)
        first.close()
        third.close()
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), [])
        second.close()
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), ["REMOVED ^a/ a/1"])

    def test_renewed(self) -> None:
        """
        A name that is wanted again later is offered anew, also to a listener that has declined it.
        """
        ann, bob = self.build()
        listener = bob.listener("^a/")
        self.wait()
        for answer in (bob.reject, bob.accept, bob.reject, bob.accept):
            subscriber = ann.subscriber("a/1")
            self.wait()
            self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])
            answer(listener, "^a/", "a/1")
            self.wait()
            subscriber.close()
            self.wait(GONE)
            self.assertEqual(bob.heard(listener), ["REMOVED ^a/ a/1"] if answer == bob.accept else [])

    def test_provider_leaves(self) -> None:
        """
        If a provider stops listening, a listener of another node is offered the name. The subscribers are told that
        there is no provider if there is none (EL9).
        """
        ann, bob, cat = self.build(3)
        subscriber = ann.subscriber("a/1")
        first = self.provider(bob, "^a/", "a/1")
        second = cat.listener("^a/")
        self.wait()
        bob.unlisten(first, "^a/")
        self.wait()
        self.assertEqual(cat.heard(second), ["FOUND ^a/ a/1"])
        self.assertEqual(bob.heard(first), ["ACK UNLISTEN ^a/"])
        cat.accept(second, "^a/", "a/1")
        self.wait(GONE)
        self.assertEqual(ann.heard(subscriber), ["PROVIDED a/1"])
        second.close()
        self.wait(GONE)
        self.assertEqual(ann.heard(subscriber), ["UNPROVIDED a/1"])
        self.assertFalse(ann.listeners.provided("a/1"))

    def test_events(self) -> None:
        """
        Subscribers of events are told nothing of providers.
        """
        ann, bob = self.build(topic=Topic.EVENT)
        subscriber = ann.subscriber("a/1")
        listener = self.provider(bob, "^a/", "a/1")
        self.assertEqual(self.providers("a/1"), [1])
        listener.close()
        self.wait(GONE)
        self.assertEqual(ann.heard(subscriber), [])
        self.assertEqual(self.providers("a/1"), [])

    def test_silent(self) -> None:
        """
        A listener that does not answer in time is passed over, and the other nodes are asked.
        """
        ann, bob, cat = self.build(3)
        silent = [stage.listener("^a/") for stage in (bob, cat)]
        self.wait()
        ann.subscriber("a/1")
        self.wait(2)
        self.assertEqual([ann.heard(each) for each in silent], [["FOUND ^a/ a/1", "TIMEOUT a/1"]] * 2)

    def test_rematch(self) -> None:
        """
        Listeners that have declined a name are offered it again at the next rematch of their node.
        """
        ann, bob = self.build(rematch_interval=30.0, match_cooldown=5.0, response_timeout=20.0)
        listener = bob.listener("^a/")
        self.wait()
        ann.subscriber("a/1")
        self.wait()
        for _ in range(2):
            self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])
            bob.reject(listener, "^a/", "a/1")
            self.wait(25)
            self.assertEqual(bob.heard(listener), [])
            self.wait(6)
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])
        bob.accept(listener, "^a/", "a/1")
        self.wait(100)
        self.assertEqual(bob.heard(listener), [])
        self.assertEqual(self.providers("a/1"), [1])

    def test_no_rematch_while_provided(self) -> None:
        """
        A listener that has declined a name is not offered it while another node provides it, and is offered it at once
        when the provider leaves.
        """
        ann, bob, cat = self.build(3, rematch_interval=10.0)
        ann.subscriber("a/1")
        declines = bob.listener("^a/")
        self.wait()
        bob.reject(declines, "^a/", "a/1")
        provider = self.provider(cat, "^a/", "a/1")
        declines.take()
        self.wait(100)
        self.assertEqual(bob.heard(declines), [])
        provider.close()
        self.wait()
        self.assertEqual(bob.heard(declines), ["FOUND ^a/ a/1"])

    def test_permission(self) -> None:
        """
        The node of a listener decides whether the listener may hear of a name; meanwhile the owner waits.
        """
        decisions: list[Deferred[bool]] = []

        def decide(user: str | None, name: str | None) -> object:
            if user == "bob":
                decisions.append(Deferred())
                return decisions[-1]
            return True

        ann, bob, cat = self.build(3, permission=Rule(decide))
        late = FakeConnection("bob")
        bob.listen(late, "^a/")
        self.wait()
        ann.subscriber("a/1")
        self.wait(3)
        free = cat.listener("^a/")
        self.wait(3)
        self.assertEqual((len(decisions), cat.heard(free)), (1, []))
        decisions[0].callback(False)
        self.wait()
        self.assertEqual((bob.heard(late), cat.heard(free)), (["ACK LISTEN ^a/"], ["FOUND ^a/ a/1"]))

    def test_w34_late_answer(self) -> None:
        """
        A listener that accepts late provides the name if it has no provider.
        """
        ann, bob = self.build()
        listener = bob.listener("^a/")
        self.wait()
        subscriber = ann.subscriber("a/1")
        self.wait(2)
        bob.accept(listener, "^a/", "a/1")
        self.wait()
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1", "TIMEOUT a/1"])
        self.assertEqual(ann.heard(subscriber), ["PROVIDED a/1"])
        subscriber.close()
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), ["REMOVED ^a/ a/1"])

    def test_w34_late_answer_of_two(self) -> None:
        """
         If another listener provides the name by then, or the name is not wanted any more, the late one is told to stop
        .
        """
        ann, bob, cat = self.build(3)
        late = bob.listener("^a/")
        self.wait()
        subscriber = ann.subscriber("a/1")
        self.wait(2)
        other = self.provider(cat, "^a/", "a/1")
        late.take()
        bob.accept(late, "^a/", "a/1")
        self.wait(2)
        self.assertEqual(bob.heard(late), ["REMOVED ^a/ a/1"])
        self.assertEqual((cat.heard(other), self.providers("a/1")), ([], [2]))
        self.assertEqual(ann.heard(subscriber), ["PROVIDED a/1"])
        other.close()
        self.wait()
        self.assertEqual(bob.heard(late), ["FOUND ^a/ a/1"])
        self.wait(1)
        subscriber.close()
        self.wait(GONE)
        late.take()
        bob.accept(late, "^a/", "a/1")
        self.wait(GONE)
        self.assertEqual(bob.heard(late), ["REMOVED ^a/ a/1"])

    def test_late_while_other_is_asked(self) -> None:
        """
        If a listener accepts late while one of another node is offered the name, it provides the name, and the other
        one is told to stop if it accepts.
        """
        ann, bob, cat = self.build(3, response_timeout=5.0)
        late = bob.listener("^a/")
        self.wait()
        ann.subscriber("a/1")
        self.wait(6)
        other = cat.listener("^a/")
        self.wait()
        bob.accept(late, "^a/", "a/1")
        self.wait()
        self.assertEqual(self.providers("a/1"), [1])
        cat.accept(other, "^a/", "a/1")
        self.wait(2)
        self.assertEqual(cat.heard(other), ["FOUND ^a/ a/1", "REMOVED ^a/ a/1"])
        self.assertEqual(self.providers("a/1"), [1])

    def test_unwanted_while_asked(self) -> None:
        """
        If the last subscriber leaves while a listener is offered the name, the listener is told to stop if it accepts.
        """
        ann, bob = self.build(response_timeout=5.0)
        listener = bob.listener("^a/")
        self.wait()
        subscriber = ann.subscriber("a/1")
        self.wait()
        subscriber.close()
        self.wait(GONE)
        bob.accept(listener, "^a/", "a/1")
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1", "REMOVED ^a/ a/1"])
        self.assertEqual(self.providers("a/1"), [])


class SliceTests(ClusterCase):
    """
    Work on many names, on clocks on which everything takes time.
    """

    def setUp(self) -> None:
        self.patch(cluster_stage, "Time", BusyTime)

    def test_slices(self) -> None:
        """
        Many names are asked about, offered and ended in slices; each is offered once, and has no provider at the end.
        """
        ann, bob = self.build(1) * 2
        names = [f"a/{number}" for number in range(60)]
        subscriber = FakeConnection()
        for name in names:
            ann.subscribe(subscriber, name)
        clock: Any = self.cluster.clock
        clock.tick = TIME_SLICE / 4
        listener = bob.listener("^a/")
        offered: list[str] = []
        while len(offered) < 60:
            before = len(offered)
            clock.run_next()
            offered += [message.subscription for message in listener.take() if message.subscription is not None]
            self.assertLess(len(offered) - before, 6)
        self.assertEqual(sorted(offered), sorted(names))
        for name in names:
            bob.accept(listener, "^a/", name)
        subscriber.close()
        clock.tick = 0.0
        self.wait(GONE)
        self.assertEqual(sorted(bob.heard(listener)), sorted(f"REMOVED ^a/ {name}" for name in names))
        self.assertEqual([name for name in names if self.providers(name)], [])


class SoleSubscriberTests(ClusterCase):
    """
    Listeners of v2 and v3, which subscribe to what they provide.
    """

    def own(self, stage: Stage, name: str) -> FakeConnection:
        """
        A listener that is subscribed to C{name}.
        """
        listener = stage.listener("^a/", dialect=TEXT)
        stage.subscribe(listener, name)
        listener.take()
        return listener

    def test_not_offered(self) -> None:
        """
        A listener is not offered a name whose only subscriber in the cluster it is; it is, when there is one on another
        node.
        """
        ann, bob = self.build()
        listener = self.own(bob, "a/1")
        self.wait()
        self.assertEqual(bob.heard(listener), [])
        ann.subscriber("a/1")
        self.wait()
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])

    def test_told_to_stop(self) -> None:
        """
        It is told to stop when the last subscriber of another node has gone, and offered the name again when there is
        one again. Until then, no other listener is offered it.
        """
        ann, bob, cat = self.build(3)
        subscriber = ann.subscriber("a/1")
        listener = self.own(bob, "a/1")
        self.wait()
        bob.accept(listener, "^a/", "a/1")
        self.wait()
        other = cat.listener("^a/")
        self.wait()
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1", "PROVIDED a/1"])
        subscriber.close()
        self.wait(GONE)
        self.assertEqual(bob.heard(listener), ["REMOVED ^a/ a/1", "UNPROVIDED a/1"])
        self.assertEqual(cat.heard(other), [])
        cat.subscriber("a/1")
        self.wait()
        self.assertEqual(bob.heard(listener), ["FOUND ^a/ a/1"])

    def test_served_late(self) -> None:
        """
        It is not offered the name if the node has much to do, and serves the owner when the subscriber of the other
        node has gone again.
        """
        ann, bob = self.build()
        listener = self.own(bob, "a/1")
        self.wait()
        demand: Any = bob.listeners._assignment._demand
        demand._serving = True
        subscriber = ann.subscriber("a/1")
        self.wait()
        self.assertTrue(demand._rows)
        subscriber.close()
        self.wait()
        for _ in demand._serve():
            pass
        self.wait()
        self.assertEqual(bob.heard(listener), [])

    def test_other_listener(self) -> None:
        """
        Its subscription counts for listeners of other nodes.
        """
        _, bob, cat = self.build(3)
        self.own(bob, "a/1")
        other = cat.listener("^a/")
        self.wait()
        self.assertEqual(cat.heard(other), ["FOUND ^a/ a/1"])


class FaultTests(ClusterCase):
    """
    Nodes that die, partitions that move, and messages that get lost.
    """

    def test_provider_dies(self) -> None:
        """
        If the node of the provider dies, another listener is offered the name.
        """
        ann, bob, cat = self.build(3)
        for name in ("a/1", "a/2", "a/3", "a/4"):
            ann.subscriber(name)
        provider = bob.listener("^a/")
        self.wait()
        for name in ("a/1", "a/2", "a/3", "a/4"):
            bob.accept(provider, "^a/", name)
        other = cat.listener("^a/")
        self.wait()
        self.assertEqual(cat.heard(other), [])
        self.cluster.kill(1)
        self.wait(DEATH)
        found = [line for line in cat.heard(other) if line.startswith("FOUND")]
        self.assertEqual(sorted(found), [f"FOUND ^a/ a/{number}" for number in range(1, 5)])

    def test_w35_one_search(self) -> None:
        """
        However long a search on one node takes, no other node is asked meanwhile.
        """
        stages = self.build(3, response_timeout=2.0, rematch_interval=None)
        listeners = [(stage, stage.listener("^a/")) for stage in stages for _ in range(5)]
        self.wait()
        stages[0].subscriber("a/1")
        offered: list[int] = []
        for _ in range(40):
            self.wait(1.0)
            heard = [stage.heard(listener) for stage, listener in listeners]
            offered += [number for number, lines in enumerate(heard) if "FOUND ^a/ a/1" in lines]
            running = [stage for stage in stages if "a/1" in stage.listeners._assignment.searches]
            self.assertLessEqual(len(running), 1)
        self.assertEqual(sorted(offered), list(range(15)))
        self.assertEqual(len({number // 5 for number in offered[:5]} | {number // 5 for number in offered[5:10]}), 2)

    def test_w38_asked_node_dies(self) -> None:
        """
        If the node that is asked dies, the next one is asked.
        """
        ann, bob, cat = self.build(3, response_timeout=1000.0)
        name = self.name_of(0)
        first = bob.listener("^a/")
        self.wait()
        ann.subscriber(name)
        self.wait()
        second = cat.listener("^a/")
        self.wait(30)
        self.assertEqual((bob.heard(first), cat.heard(second)), ([f"FOUND ^a/ {name}"], []))
        self.cluster.kill(1)
        self.wait(DEATH)
        self.assertEqual(cat.heard(second), [f"FOUND ^a/ {name}"])

    def test_owner_dies(self) -> None:
        """
        If the owner of a name dies, nothing changes for a name with a provider, and a name without one is searched for
        by the next owner.
        """
        ann, bob, cat = self.build(3)
        provided, free = self.name_of(2), self.name_of(2, "b/")
        subscribers = [ann.subscriber(name) for name in (provided, free)]
        listener = self.provider(bob, "^a/", provided)
        self.wait()
        self.cluster.kill(2)
        other = bob.listener("^b/")
        self.wait(DEATH)
        self.assertEqual(bob.heard(listener), [])
        self.assertEqual([ann.heard(each) for each in subscribers], [[f"PROVIDED {provided}"], []])
        self.assertEqual(bob.heard(other)[:1], [f"FOUND ^b/ {free}"])

    def test_hand_over(self) -> None:
        """
        A name keeps its provider when the owner hands its partitions over.
        """
        ann, bob, cat = self.build(3)
        names = [self.name_of(2, other=number) for number in range(5)]
        for name in names:
            ann.subscriber(name)
        listener = bob.listener("^a/")
        self.wait()
        for name in names:
            bob.accept(listener, "^a/", name)
        listener.take()
        self.wait()
        self.cluster.nodes[2].hand_over()
        self.wait(10)
        other = cat.listener("^a/")
        self.wait(10)
        self.assertEqual((bob.heard(listener), cat.heard(other)), ([], []))
        self.assertEqual({tuple(self.providers(name)) for name in names}, {(1,)})

    def test_hand_over_while_asked(self) -> None:
        """
        A search that is going on when the owner hands over has one result.
        """
        ann, bob, cat = self.build(3, response_timeout=20.0)
        name = self.name_of(2)
        ann.subscriber(name)
        listeners = [stage.listener("^a/") for stage in (bob, cat)]
        self.wait()
        self.cluster.nodes[2].hand_over()
        self.wait(5)
        for stage, listener in zip((bob, cat), listeners, strict=True):
            if any(line == f"FOUND ^a/ {name}" for line in stage.heard(listener)):
                stage.accept(listener, "^a/", name)
        self.wait(5)
        self.assertEqual(len(self.providers(name)), 1)

    def test_two_providers(self) -> None:
        """
        If two nodes provide a name, the one that the owner has heard of first goes on, and the other one is told to
        stop, until it does.
        """
        ann, bob, cat = self.build(3, response_timeout=5.0)
        name = self.name_of(0)
        late = bob.listener("^a/")
        self.wait()
        ann.subscriber(name)
        self.wait(6)
        provider = self.provider(cat, "^a/", name)
        lost: list[str] = []

        def loses_end(item: list[object]) -> bool:
            lost.append(str(item[0]))
            return item[0] == "end.r" and lost.count("end.r") < 4

        # It does not know of the provider, because it has no subscriber.
        self.lose(0, loses_end)
        bob.accept(late, "^a/", name)
        late.take()
        self.wait(1.5)
        self.assertEqual(self.providers(name), [1, 2])
        self.wait(5)
        self.assertEqual(self.providers(name), [2])
        self.assertEqual((bob.heard(late), cat.heard(provider)), ([f"REMOVED ^a/ {name}"], []))
        self.assertEqual(lost.count("end.r"), 4)

    def test_w46_lost_messages(self) -> None:
        """
        An ask, and an answer, that got lost are repeated; the listeners are offered the name once.
        """
        for kind, sender in (("search.r", 0), ("unprovided.r", 1), ("report", 1)):
            ann, bob, cat = self.build(3)
            name = self.name_of(0)
            first = bob.listener("^a/")
            self.wait()
            lost: list[object] = []
            self.lose(sender, lambda item, kind=kind, lost=lost: item[0] == kind and not lost and not lost.append(item))  # type: ignore[misc]
            ann.subscriber(name)
            self.wait(2)
            self.assertEqual(len(lost), 1)
            second = cat.listener("^a/")
            self.wait(3)
            self.assertEqual(bob.heard(first), [f"FOUND ^a/ {name}", f"TIMEOUT {name}"])
            self.assertEqual(cat.heard(second), [f"FOUND ^a/ {name}", f"TIMEOUT {name}"])

    def test_w46_bus_lost(self) -> None:
        """
         While the bus of a node is lost, its listeners go on; what has changed meanwhile is made up for when it is back
        .
        """
        ann, bob, cat = self.build(3)
        names = [self.name_of(number) for number in range(3)]
        subscribers = [ann.subscriber(name) for name in names]
        listener = bob.listener("^a/")
        self.wait()
        for name in names:
            bob.accept(listener, "^a/", name)
        self.wait()
        listener.take()
        self.cluster.bus(1).disconnect()
        self.wait(2)
        self.assertEqual(bob.heard(listener), [])
        subscribers[0].close()
        other = cat.subscriber("a/new")
        self.wait(4)
        self.cluster.bus(1).reconnect()
        self.wait(12)
        self.assertEqual(
            sorted(line for line in bob.heard(listener) if "TIMEOUT" not in line),
            sorted(["FOUND ^a/ a/new", f"REMOVED ^a/ {names[0]}"]),
        )
        self.assertEqual([self.providers(name) for name in names], [[], [1], [1]])
        self.assertEqual(cat.heard(other), [])

    def test_w41_no_ghosts(self) -> None:
        """
        Subscribers of two nodes that come and go leave nothing behind.
        """
        ann, bob, cat = self.build(3)
        provider = cat.listener("^a/")
        self.wait()
        for round in range(3):
            first, second = ann.subscriber("a/1"), bob.subscriber("a/1")
            self.wait()
            cat.accept(provider, "^a/", "a/1")
            self.wait()
            first.close()
            self.wait(GONE)
            again = ann.subscriber("a/1")
            self.wait()
            again.close()
            self.wait(GONE)
            self.assertEqual(cat.heard(provider), ["FOUND ^a/ a/1"], round)
            second.close()
            self.wait(GONE)
            self.assertEqual(cat.heard(provider), ["REMOVED ^a/ a/1"], round)
            self.assertEqual(self.providers("a/1"), [])

    def test_w45_old_owner(self) -> None:
        """
        A node that takes itself for the owner of a name, and is not any more, is not obeyed. Nor is a row about a
        partition that does not exist.
        """
        ann, bob = self.build()
        listener = bob.listener("a")
        self.wait()
        peers = self.cluster.nodes[0].peers
        other = self.cluster.nodes[1].membership.node
        for place in ([99, 1], [0, 0], [3, 0]):
            peers.send(other, ["search.r", [[*place, 1, 1, "a", True]]])
            peers.send(other, ["end.r", [[*place, "a"]]])
            peers.send(other, ["unprovided.r", [[*place, 1, "a"]]])
            peers.send(other, ["again.r", [[*place, "a"]]])
            peers.send(other, ["rest.r", [[*place, "a"]]])
        self.wait()
        self.assertEqual(bob.heard(listener), [])
