r"""
The batches under way, so that a kick ends those of its user.

::

    login accepted --> added --> items are read --> items begin --> results --> removed
                         \------------- a kick: items without a result are refused --/
"""

from __future__ import annotations

from dstwist.http_api.batch import Batch
from dstwist.log import LoggedClient, Logger, about


class Batches:
    """
    The batches of one node, with their clients.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._clients: dict[Batch, LoggedClient] = {}

    def add(self, batch: Batch, client: LoggedClient) -> None:
        """
        C{client} has logged in for C{batch}.
        """
        self._clients[batch] = client

    def remove(self, batch: Batch) -> None:
        """
        C{batch} has its answer, or its client has gone.
        """
        del self._clients[batch]

    def under_way(self) -> list[tuple[Batch, LoggedClient]]:
        """
        All batches, with their clients.
        """
        return list(self._clients.items())

    def kick(self, batch: Batch, reason: str) -> bool:
        """
        Refuse the items of C{batch} that have no result yet.

        @return: whether it was under way.
        """
        client = self._clients.get(batch)
        if client is None:
            return False
        self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(client))
        batch.refuse(reason)
        return True

    def kicked(self, user: str, reason: str) -> int:
        """
        Refuse the items of C{user}.

        @return: of how many batches.
        """
        return sum(self.kick(batch, reason) for batch, client in self.under_way() if client.user == user)
