"""Who gets which partition: by the partition counts of the configuration, whatever a client knows at the moment.

A leader of a group that divides the partitions just when a broker is starting may not have heard of a topic yet.
aiokafka's own strategy then gives its partitions to nobody; and since a static member that returns gets the old
assignment again, nobody reads them any more, for good and without a word.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from gridbeacon.config import Config
from streams.topics import topics


class _Counted:
    """What the strategy asks of the cluster's metadata."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the numbers of a topic's partitions, None for a topic that is not ours."""
        count = self._counts.get(topic)
        return None if count is None else set(range(count))


def assignor(config: Config) -> type[RoundRobinPartitionAssignor]:
    """Return the strategy for ``partition_assignment_strategy``: round robin over every partition of our topics."""
    counted = _Counted({topic.name: topic.partitions for topic in topics(config)})

    class Assignor(RoundRobinPartitionAssignor):  # type: ignore[misc]
        """Round robin over the configured partitions."""

        @classmethod
        def assign(cls, cluster: Any, members: Any) -> Any:  # noqa: ARG003 - what it may not know is not asked
            """Return the assignment of each member."""
            return super().assign(counted, members)

    return Assignor
