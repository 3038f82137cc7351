"""
The targets of C{fuzz}: what was found once, and a little of what has not been tried yet.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.log import Logger
from fuzz.mutation import mutate
from fuzz.targets import TARGETS

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus"
#: How much is tried of each target: what takes it a second or two.
TRIES = {
    "text": 4000,
    "protobuf": 8000,
    "json": 4000,
    "paths": 4000,
    "http": 600,
    "node": 600,
    "config": 800,
    "valve": 3000,
}


class FuzzTests(SynchronousTestCase):
    """
    No input breaks anything.
    """

    def setUp(self) -> None:
        # The target "node" logs nothing but trouble.
        self.addCleanup(setattr, Logger, "_threshold", Logger._threshold)

    def attempt(self, target: Any, data: bytes) -> None:
        try:
            target.attempt(data)
        except Exception as error:
            raise AssertionError(f"{data!r}") from error

    def test_all_tried(self) -> None:
        """
        No target is left out.
        """
        self.assertEqual(set(TRIES), set(TARGETS))
        self.assertEqual({path.name for path in CORPUS.iterdir()} - {"README.rst"} - set(TARGETS), set())


def _test(name: str) -> Callable[[FuzzTests], None]:
    def test(self: FuzzTests) -> None:
        target = importlib.import_module(f"fuzz.target_{name}")
        found = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
        for data in [*target.SEEDS, *found]:
            self.attempt(target, data)
        generator = random.Random(1)
        for _ in range(TRIES[name]):
            self.attempt(target, mutate(generator, [*target.SEEDS, *found]))

    test.__doc__ = f"""
        Good input for the target {name}, input that once was too much for it, and changed input.
        """
    return test


for _name in TRIES:
    setattr(FuzzTests, f"test_{_name}", _test(_name))
