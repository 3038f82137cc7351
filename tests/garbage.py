"""
Garbage collections in tests.
"""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase


def make_collections_short(case: SynchronousTestCase) -> None:
    """
    Until the end of the test C{case} a full collection looks only at what was made after this. All that the test run
    itself holds is much: a test that collects again and again would take minutes for it.
    """
    gc.collect()
    gc.freeze()
    case.addCleanup(gc.unfreeze)
