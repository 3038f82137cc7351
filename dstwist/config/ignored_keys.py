"""
Keys of deepstream.io's releases that have no effect here: they are noted, and not refused.

L{RELEASED_KEYS} has each key that is in the configuration file of a release of deepstream.io, or had a default in it,
and for which there is no setting here. C{[]} stands for any entry of a list. All other unknown keys in sections that
dstwist runs are errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BUFFER = "since v2.2, outgoingBufferTimeout of the endpoint is for that"

#: By the path of the key: the text for the log.
RELEASED_KEYS: Mapping[str, str] = {
    # v2.0 to v2.1
    "timeBetweenSendingQueuedPackages": _BUFFER,
    "maxMessagesPerPacket": _BUFFER,
    # v2 and v3, by default an object that did nothing
    "messageConnector": "the bus between the nodes of a cluster is configured by clusterNode",
    # v5.0: misspelt, and never read
    "listen.shuffleProviderss": "the option is listen.shuffleProviders",
    # an option of builds that were for sale
    "licenseKey": "no license is needed",
}


def note_on(path: str) -> str | None:
    """
    Why the key with this path has no effect; C{None} if no release had it.
    """
    return RELEASED_KEYS.get(re.sub(r"\[\d+\]", "[]", path))
