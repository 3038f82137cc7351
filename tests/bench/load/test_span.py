"""
Tests for L{bench.load.span}.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from bench.load.span import Sample, Span, Timing


class FakeTarget:
    """
    A server whose times the test sets.
    """

    def __init__(self) -> None:
        self.times = (0.0, 0.0)

    def cpu(self) -> float:
        return self.times[0]

    def waited(self) -> float:
        return self.times[1]


class SpanTests(SynchronousTestCase):
    """
    The part of a run that is measured.
    """

    def test_warm_up_does_not_count(self) -> None:
        """
        The sample has what was done and used after the warm-up, until the run is over.
        """
        clock, fake, done = Clock(), FakeTarget(), 100
        self.patch(time, "monotonic", clock.seconds)
        target: Any = fake
        measured = Span(target, Timing(warm=1.0, measured=2.0), lambda: done)
        self.assertFalse(measured.over())
        clock.advance(1.5)
        done, fake.times = 150, (1.0, 0.1)
        self.assertFalse(measured.over())
        clock.advance(1.9)
        self.assertFalse(measured.over())
        clock.advance(0.1)
        done, fake.times = 450, (2.5, 0.3)
        self.assertTrue(measured.over())
        sample = measured.sample
        self.assertEqual((sample.count, sample.cpu, sample.seconds), (300, 1.5, 2.0))
        self.assertEqual(sample.rate, 200.0)
        self.assertAlmostEqual(sample.busy, 0.85)


class SampleTests(SynchronousTestCase):
    """
    What a run has done.
    """

    def test_no_cpu_time(self) -> None:
        """
        A run in which the scheduler counted nothing has a rate nevertheless.
        """
        self.assertGreater(Sample(1, 0.0, 0.0, 1.0).rate, 0.0)
