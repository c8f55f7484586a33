"""Every partition has a reader, also when the leader of a group divides them before it has heard of any."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocol

from gridbeacon.config import Config, Topics
from gridbeacon.registry import Registry
from streams import detect, ingest, store
from streams.assign import assignor

CONFIG = Config(topics=Topics(prefix="city.", observations_partitions=5, source_partitions=3))


def divided(strategy: Any, *members: tuple[str, ...]) -> list[list[tuple[str, list[int]]]]:
    """Return what each member, given as the topics it wants, gets from a leader that knows of no topic."""
    wanted = {f"member-{n}": strategy.metadata(set(names)) for n, names in enumerate(members)}
    found = strategy.assign(ClusterMetadata(), wanted)
    return [ConsumerProtocol.ASSIGNMENT.decode(found[name].encode()).assignment for name in sorted(wanted)]


def test_partitions_are_divided_by_the_configuration_alone() -> None:
    observations = ("city.observations",)
    assert divided(assignor(CONFIG), observations, observations) == [
        [("city.observations", [0, 2, 4])],
        [("city.observations", [1, 3])],
    ]


def test_what_is_not_ours_goes_to_nobody() -> None:
    assert divided(assignor(CONFIG), ("observations",)) == [[]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return msgspec.structs.replace(CONFIG, data_dir=str(tmp_path))


def test_every_role_divides_so(config: Config) -> None:
    async def strategies() -> list[Any]:
        role = detect.role(config, "detect-0")
        faust = role.app.consumer._thread._create_worker_consumer(role.app.transport)
        taking = ingest.Ingest(config, Registry({}, {}), None)._consumer
        storing = [store.Store(config, lane, None, asyncio.Event())._consumer for lane in store.LANES]
        return [one._partition_assignment_strategy for one in (faust, taking, *storing)]

    for found in asyncio.run(strategies()):
        (strategy,) = found
        assert divided(strategy, ("city.observations",)) == [[("city.observations", [0, 1, 2, 3, 4])]]
