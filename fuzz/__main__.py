"""
Runs targets, each in a process of its own, one after the other.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")


def by_mutation(target: Any, name: str, seconds: float) -> int:
    """
    Change seeds at random. Payloads that cause a failure go to the corpus.

    @return: how much was found.
    """
    from fuzz.mutation import mutate

    seed = random.randrange(1 << 30)
    generator, deadline, tries, found = random.Random(seed), time.monotonic() + seconds, 0, 0
    known: set[str] = set()
    while time.monotonic() < deadline and found < 10:
        data = mutate(generator, target.SEEDS)
        tries += 1
        began = time.monotonic()
        try:
            target.attempt(data)
            problem = f"took {time.monotonic() - began:.1f} s" if time.monotonic() - began > 1 else ""
        except Exception:
            problem = traceback.format_exc()
        where = "\n".join(line for line in problem.splitlines() if line.lstrip().startswith("File"))
        if problem and where not in known:
            known.add(where)
            found += 1
            keep(name, data)
            print(f"{name}: {data[:300]!r}\n{problem}", flush=True)
    print(f"{name}: {tries} tries from seed {seed}, {found} found", flush=True)
    return found


def keep(name: str, data: bytes) -> None:
    """
    Put C{data} into the corpus.
    """
    directory = CORPUS / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def by_coverage(name: str, seconds: int) -> None:
    """
    Let atheris look for input that reaches new code. It ends the process.
    """
    import atheris

    with atheris.instrument_imports(include=["dstwist"]):
        target = importlib.import_module(f"fuzz.target_{name}")
    directory = CORPUS / name
    directory.mkdir(parents=True, exist_ok=True)
    start = Path(".fuzz") / name
    start.mkdir(parents=True, exist_ok=True)
    for data in target.SEEDS:
        (start / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={directory}/", "-max_len=4096", "-timeout=10"]
    atheris.Setup([sys.argv[0], *options, str(start)], target.attempt)
    atheris.Fuzz()


def main() -> int:
    """
    @return: how many targets failed.
    """
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--random", action="store_true", help="without atheris, even if it is there")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    options = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        options.random = True
    if options.here:
        (name,) = options.targets
        if options.random:
            return by_mutation(importlib.import_module(f"fuzz.target_{name}"), name, options.seconds)
        by_coverage(name, options.seconds)
    failed = 0
    for name in options.targets:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "fuzz", "--here", "--seconds", str(options.seconds), name]
        failed += subprocess.run([*command, *(["--random"] if options.random else [])]).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
