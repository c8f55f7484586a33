"""What a role without state of its own does when partitions come and go: it says so, and repeats what may be lost."""

from typing import Any

import structlog
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

from streams import ready

log = structlog.get_logger("rebalance")
NO_LONGER_OURS = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


async def commit(consumer: Any, offsets: Any = None) -> None:
    """Commit offsets, None for all that was read; where partitions have moved, their owner repeats what was done."""
    try:
        await consumer.commit(offsets)
    except NO_LONGER_OURS as error:
        log.info("partitions moved, the new owner repeats the batch", detail=str(error))


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
