"""
What is measured: the rows of the table, and the curves.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load import fanout, ingest, latency, logins, rpc, stalls, writes
from bench.load.span import Sample, Timing
from bench.load.target import Target
from bench.peers import PLAIN, Setup


@dataclass(frozen=True)
class Figure:
    """
    A line of the table.

    @ivar more_is_better: whether a larger value is the better one.
    """

    name: str
    title: str
    unit: str
    more_is_better: bool = True


@dataclass(frozen=True)
class Outcome:
    """
    The figures of one run.

    @ivar values: by the name of the figure.
    @ivar busy: the share of the time in which the server had work to do, if it was to have some all the time.
    """

    values: dict[str, float]
    busy: float | None = None


@dataclass(frozen=True)
class Row:
    """
    One kind of run.

    @ivar brokers: whether Redis and NATS can do the same.
    @ivar curve: the curve that this row is a point of, and where.
    """

    name: str
    figures: tuple[Figure, ...]
    run: Callable[[Target, Timing], Outcome]
    setup: Setup = PLAIN
    brokers: bool = False
    curve: tuple[str, float] | None = None


def chosen(names: Sequence[str]) -> list[Row]:
    """
    The rows with these names, or those that begin with one of them; without names, all rows.
    """
    unknown = [name for name in names if not any(_is(row, name) for row in ROWS)]
    if unknown:
        known = ", ".join(row.name for row in ROWS)
        raise ValueError(f"There is no row {', '.join(unknown)}. The rows are: {known}")
    return [row for row in ROWS if not names or any(_is(row, name) for name in names)]


def allow_connections() -> None:
    """
    Permit this process, and the servers that it starts, as many open files as the system lets it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _is(row: Row, name: str) -> bool:
    return row.name == name or row.name.startswith(f"{name}-")


def _rate(
    name: str,
    title: str,
    unit: str,
    load: Callable[[Target, Timing], Sample],
    setup: Setup = PLAIN,
    brokers: bool = False,
    curve: tuple[str, float] | None = None,
    saturated: bool = True,
) -> Row:
    """
    A row about how much a server does in a second of its CPU time.
    """

    def run(target: Target, timing: Timing) -> Outcome:
        sample = load(target, timing)
        return Outcome({name: sample.rate}, sample.busy if saturated else None)

    return Row(name, (Figure(name, title, unit),), run, setup, brokers, curve)


def _subscribers(count: int) -> str:
    return f"{count:,} subscriber{'s' if count > 1 else ''}"


def _fanout(subscribers: int) -> Row:
    return _rate(
        f"fanout-{subscribers}",
        f"events to {_subscribers(subscribers)}",
        "deliveries",
        lambda target, timing: fanout.events(target, timing, subscribers),
        setup=_BUFFERED,
        brokers=True,
        curve=("subscribers", subscribers),
    )


def _payload(size: int) -> Row:
    return _rate(
        f"payload-{size}",
        f"events of {size:,} bytes to 1 subscriber",
        "deliveries",
        lambda target, timing: fanout.events(target, timing, 1, size),
        setup=_BUFFERED,
        curve=("payload", size),
    )


def _lockstep(subscribers: int, setup: Setup = PLAIN) -> Row:
    return _rate(
        f"{'tls-' if setup.tls else ''}lockstep-{subscribers}",
        f"{'TLS: ' if setup.tls else ''}one event at a time to {_subscribers(subscribers)}",
        "deliveries",
        lambda target, timing: fanout.events_in_lockstep(target, timing, subscribers),
        setup=setup,
        saturated=False,
    )


def _writes(in_flight: int) -> Row:
    return _rate(
        f"ackwrites-{in_flight}",
        f"acknowledged writes, {in_flight} in flight",
        "writes",
        lambda target, timing: writes.acknowledged(target, timing, in_flight),
        curve=("in flight", in_flight),
        saturated=in_flight > 1,
    )


def _logins(target: Target, timing: Timing) -> Outcome:
    idle = logins.logins(target, timing)
    return Outcome({"logins": idle.sample.rate, "idle": idle.memory / 1000})


def _latency(target: Target, timing: Timing) -> Outcome:
    delays = latency.delays(target, timing)
    return Outcome({f"p{digits}": latency.quantile(delays, share) for digits, share in _QUANTILES.items()})


def _stall(name: str, when: str, load: Callable[[Target, Timing], stalls.Stall]) -> Row:
    wait = Figure(name, f"longest wait while {when}", "ms", more_is_better=False)
    busy = Figure(f"{name}-busy", f"most processor time in a wait while {when}", "ms", more_is_better=False)

    def run(target: Target, timing: Timing) -> Outcome:
        stall = load(target, timing)
        return Outcome({wait.name: stall.wait, busy.name: stall.busy})

    return Row(name, (wait, busy), run)


_TLS = Setup(tls=True)
#: Rows in which one client sends many messages to others: all of them are the better for it.
_BUFFERED = Setup(node_buffer=1)
_QUANTILES = {"50": 0.5, "99": 0.99, "999": 0.999}

ROWS: tuple[Row, ...] = (
    *map(_fanout, (1, 10, 100, 1000)),
    _rate(
        "fanout-rules",
        "events to 100 subscribers, a rule decides about each name",
        "deliveries",
        lambda target, timing: fanout.events(target, timing, 100),
        setup=Setup(rules=True, node_buffer=1),
    ),
    *map(_payload, (80, 300, 1024, 4096, 16384)),
    *map(_lockstep, (1, 100)),
    _rate("events-in", "events without a subscriber", "events", ingest.events),
    _rate(
        "patches",
        "record patches to 1 subscriber",
        "patches",
        lambda target, timing: fanout.patches(target, timing, 1),
        setup=_BUFFERED,
    ),
    _rate(
        "patches-300",
        "record patches of 300 bytes to 1 subscriber",
        "patches",
        lambda target, timing: fanout.patches(target, timing, 1, 300),
        setup=_BUFFERED,
    ),
    *map(_writes, (1, 5, 50, 500)),
    _rate("creation", "new records", "records", writes.created),
    _rate("rpc", "procedure calls, 50 callers", "calls", rpc.calls),
    Row(
        "logins",
        (
            Figure("logins", "logins", "logins"),
            Figure("idle", "memory of an idle connection", "kB", more_is_better=False),
        ),
        _logins,
    ),
    _lockstep(1, _TLS),
    _lockstep(100, _TLS),
    _rate(
        "tls-fanout-100",
        "TLS: events to 100 subscribers",
        "deliveries",
        lambda target, timing: fanout.events(target, timing, 100),
        setup=Setup(tls=True, node_buffer=1),
    ),
    Row(
        "latency",
        tuple(
            Figure(f"p{digits}", f"latency at 10,000 deliveries/s, {share:.3g} quantile", "ms", more_is_better=False)
            for digits, share in _QUANTILES.items()
        ),
        _latency,
    ),
    _stall("stall-1", "a client with 100,000 names leaves", stalls.leaving),
    _stall(
        "stall-10",
        "ten clients with 50,000 names leave",
        lambda target, timing: stalls.leaving(target, timing, 10, 50_000),
    ),
    _stall("stall-records", "300,000 records are created", stalls.creating),
)
