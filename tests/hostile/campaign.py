"""
All attacks, the stages they are made on, and what none of them may do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dstwist.auth.hashing import hash_argon2
from tests.hostile import attacks, attacks_floods, attacks_nonsense, attacks_streams
from tests.hostile.bystander import PASSWORD, PAUSE, USERS
from tests.hostile.stage import GROWTH, MIB, PEAK, Attack, Cost, Stage

FLOODS: list[Attack] = [*attacks_floods.ATTACKS, *attacks_streams.ATTACKS]
ATTACKS: list[Attack] = [*attacks.ATTACKS, *attacks_nonsense.ATTACKS, *FLOODS]
LOGIN_ATTACKS: list[Attack] = [*attacks_floods.LOGIN_ATTACKS]


def name_of(attack: Attack) -> str:
    """
    What it is called in tables.
    """
    return attack.__name__.replace("_", " ")


def pause_of(scale: int) -> float:
    """
    The pause of the client beside: a test run does not measure latencies, and has better uses for the processor.
    """
    return PAUSE if scale > 1 else 5 * PAUSE


def open_stage(scale: int, directory: Path) -> Stage:
    """
    A server that lets everybody in.
    """
    return Stage(scale, Path(__file__).with_name("stage.yml"), pause=pause_of(scale))


def users_file() -> str:
    """
    The text of a file of users: those of the client beside.
    """
    return "".join(f"{user}:\n  password: {hash_argon2(PASSWORD)}\n" for user in USERS)


def guarded_stage(scale: int, directory: Path) -> Stage:
    """
    A server that asks for passwords.

    @param directory: where its files are while it runs; it looks at them again from time to time.
    """
    config = directory / "config.yml"
    (directory / "users.yml").write_text(users_file())
    # Attackers wait for each of many closes in turn.
    config.write_text(
        "limits: {closeDelay: 50}\nauth:\n  - type: file\n    options:\n      users: fileLoad(users.yml)\n"
    )
    return Stage(scale, config, pause=pause_of(scale))


def campaign(
    scale: int, chosen: Callable[[Attack], bool] = lambda attack: True, tell: Callable[[Cost], None] = lambda cost: None
) -> list[Cost]:
    """
    Have servers attacked by all attacks that are C{chosen}, one after the other.

    @param tell: called with what each has cost.
    """
    costs: list[Cost] = []
    for make, made in ((open_stage, ATTACKS), (guarded_stage, LOGIN_ATTACKS)):
        wanted = [attack for attack in made if chosen(attack)]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as directory:
            stage = make(scale, Path(directory))
            try:
                for attack in wanted:
                    costs.append(stage.run(name_of(attack), attack))
                    tell(costs[-1])
            finally:
                stage.stop()
    return costs


def complaints(cost: Cost) -> Iterator[str]:
    """
    What is not as it should be after an attack.
    """
    if cost.trouble:
        yield f"{cost.name}: logged as a mistake of the server's own:\n" + "\n".join(cost.trouble)
    if cost.grown > GROWTH:
        yield f"{cost.name}: the server has kept {cost.grown / MIB:.0f} MiB"
    if cost.peak - cost.before > PEAK:
        yield f"{cost.name}: the server took {(cost.peak - cost.before) / MIB:.0f} MiB"
