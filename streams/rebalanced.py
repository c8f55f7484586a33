"""What a role without state of its own does when partitions come and go: it says so."""

from typing import Any

import structlog
from aiokafka.abc import ConsumerRebalanceListener

from streams import ready

log = structlog.get_logger("rebalance")


class Rebalanced(ConsumerRebalanceListener):  # type: ignore[misc]
    """Says which partitions came and went; nothing to save, since offsets follow each batch."""

    def __init__(self, role: str) -> None:
        self._role = role

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Note what is given up."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Note what is owned."""
        log.info("assigned", role=self._role, partitions=len(assigned))
        ready.tell()
