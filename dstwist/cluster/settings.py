"""
The times and limits of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClusterSettings:
    """
    All times are in seconds. The defaults are those of the configuration.
    """

    #: Over how many partitions names are spread. All nodes need the same number.
    partitions: int = 256
    #: How often a node renews its lease, reads the table, and sends digests.
    lease_interval: float = 1.0
    #: After how long a node whose lease does not move is dead.
    lease_time: float = 6.0
    #: How long before the end of its lease an owner stops deciding.
    lease_margin: float = 0.6
    #: Within how long a node notices that its bus is lost.
    bus_notice_time: float = 5.0
    #: After how long without a bus, which others have, a node gives its partitions away.
    bus_alone_time: float = 3.0
    #: How long a client waits for the bus to confirm a subscription.
    subscribe_timeout: float = 1.0
    #: How long a new node waits for the answers of all others before it takes clients.
    join_timeout: float = 5.0
    #: How often the version of each subscribed record is compared with the store.
    compare_interval: float = 60.0
    #: How long a subject stays subscribed after its last client has gone.
    linger: float = 10.0
    #: How many subscriptions may be unconfirmed at a time.
    subscribe_window: int = 5000
    #: How many bytes of payloads are kept while the bus is lost, and for how long each of them.
    outage_buffer: int = 2**20
    outage_time: float = 5.0
    #: How many names are compared in one operation, and how many such operations may be under way.
    heads_batch: int = 500
    heads_window: int = 4
    #: How long early news waits for the news before it, and how much of it one record may keep.
    early_news_time: float = 0.05
    max_early_news: int = 16
    #: The longest random delay before a node starts its repairs when the bus is back.
    recovery_delay: float = 1.0
    #: After how long a member that does not answer, although others do, is left out of a question.
    absence_timeout: float = 30.0
    #: How long a name whose last holder has gone is still there, for each kind of name.
    grace: Mapping[str, float] = field(default_factory=dict)
    #: How many names are in one message between nodes, and how many items are sent to one node in one turn.
    names_per_item: int = 500
    items_per_turn: int = 20
