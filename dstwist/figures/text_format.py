"""
The text format of Prometheus, version 0.0.4::

    # HELP dstwist_users Users with a connection to this node.
    # TYPE dstwist_users gauge
    dstwist_users 3
    # HELP dstwist_messages_received_total Requests of clients, denied ones included.
    # TYPE dstwist_messages_received_total counter
    dstwist_messages_received_total{topic="EVENT",action="EMIT"} 1027
"""

from __future__ import annotations

from collections.abc import Iterator

from dstwist.figures.samples import Sample, Samples, number

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(samples: Samples) -> bytes:
    """
    All values in this format.
    """
    return "".join(_lines(samples)).encode("utf-8", "replace")


def values(samples: Samples) -> dict[str, float]:
    """
    All values, by their names and labels as in this format: C{dstwist_users},
    C{dstwist_messages_received_total{topic="EVENT",action="EMIT"}}.
    """
    return {_named(sample): sample.value for _, found in samples.families() for sample in found}


def _lines(samples: Samples) -> Iterator[str]:
    for metric, found in samples.families():
        yield f"# HELP {metric.name} {_escaped(metric.help)}\n# TYPE {metric.name} {metric.kind}\n"
        for sample in found:
            yield f"{_named(sample)} {number(sample.value)}\n"


def _named(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in sample.labels)
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
