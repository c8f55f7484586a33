"""Topic administration: make the topics what ``topics.py`` says, and read offsets and lag."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from gridbeacon.config import Config
from gridbeacon.errors import ConfigError
from streams.access import check_access
from streams.kafka import REQUEST_MS, admin_settings, failure
from streams.topics import Topic, topics

UNKNOWN_TOPIC = 3
"""Kafka's error code of a topic that does not exist."""

Partition = tuple[str, int]
"""A topic's full name and a partition's number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it: name, number of partitions, and every setting."""

    name: str
    partitions: int
    settings: dict[str, str]


def init(config: Config) -> list[str]:
    """Make every topic exist as wanted and return what was changed, a sentence each; empty when all was right.

    Nothing is changed when a topic has the wrong number of partitions: positions and state are tied to it.
    Raises ``ConfigError`` for that and for wrong access, ``Transient`` when the broker can't be reached.
    """
    wanted = topics(config)
    with _client(config) as admin:
        found = {topic.name: topic for topic in _describe(admin, [topic.name for topic in wanted])}
        for topic in wanted:
            if topic.name in found:
                _check_partitions(topic, found[topic.name])
        missing = [topic for topic in wanted if topic.name not in found]
        changed = _create(admin, missing, config.broker.replication_factor)
        for topic in wanted:
            if topic.name in found:
                changed += _settle(admin, topic, found[topic.name])
    return changed


def describe(config: Config) -> tuple[Found, ...]:
    """Return those of our topics that exist, as the broker has them. Raises as ``init`` does."""
    with _client(config) as admin:
        return _describe(admin, [topic.name for topic in topics(config)])


def end_offsets(config: Config, names: Iterable[str]) -> dict[Partition, int]:
    """Return the offset that the next record will get, for each partition of the topics; missing topics are left out.

    Raises as ``init`` does.
    """
    with _client(config) as admin:
        return _offsets(admin, _partitions(admin, names), OffsetSpec.LATEST)


def lag(config: Config, group: str, names: Iterable[str]) -> dict[Partition, int]:
    """Return how many records of each partition ``group`` has not taken yet, for the topics that exist.

    Counted from the group's committed offset; where it never committed, from the oldest record there is.
    Raises as ``init`` does.
    """
    with _client(config) as admin:
        partitions = _partitions(admin, names)
        ends = _offsets(admin, partitions, OffsetSpec.LATEST)
        starts = _offsets(admin, partitions, OffsetSpec.EARLIEST)
        taken = _committed(admin, group, partitions) if partitions else {}
    return {at: max(0, end - max(taken.get(at, 0), starts[at])) for at, end in ends.items()}


def last_written(config: Config, names: Iterable[str]) -> dict[Partition, int]:
    """Return when (ms, the broker's clock) each partition of the topics was last written to, where it ever was.

    Raises as ``init`` does.
    """
    with _client(config) as admin:
        partitions = _partitions(admin, names)
        if not partitions:
            return {}
        answer = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.MAX_TIMESTAMP))
        return {(tp.topic, tp.partition): at.timestamp for tp, at in answer.items() if at.timestamp >= 0}


@contextmanager
def _client(config: Config) -> Iterator[KafkaAdminClient]:
    """Yield a connected client; whatever goes wrong inside comes out as one of our errors."""
    check_access(config)
    # The client reports each failed attempt; the caller hears of the outcome, once, from the exception.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(**admin_settings(config))
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise failure(error, config) from error


def _describe(admin: KafkaAdminClient, names: Iterable[str]) -> tuple[Found, ...]:
    counts = {}
    for entry in admin.describe_topics(list(names)):
        if entry["error_code"] == UNKNOWN_TOPIC:
            continue
        if entry["error_code"]:
            raise for_code(entry["error_code"])(entry["name"])
        counts[entry["name"]] = len(entry["partitions"])
    if not counts:
        return ()
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    return tuple(
        Found(name, count, {key: entry["value"] for key, entry in settings[name].items()})
        for name, count in counts.items()
    )


def _check_partitions(wanted: Topic, found: Found) -> None:
    if found.partitions != wanted.partitions:
        raise ConfigError(
            f"topic {wanted.name} has {found.partitions} partitions and the configuration wants {wanted.partitions}; "
            f"set its partitions back to {found.partitions} under topics:, or another topics.prefix to begin anew"
        )


def _create(admin: KafkaAdminClient, missing: list[Topic], replication: int) -> list[str]:
    if not missing:
        return []
    answer = admin.create_topics(
        {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": replication,
                "configs": topic.settings,
            }
            for topic in missing
        },
        raise_errors=False,
    )
    for entry in answer["topics"]:
        kind = for_code(entry["error_code"])
        if entry["error_code"] and kind is not TopicAlreadyExistsError:  # another init may run at the same time
            raise kind(f"topic {entry['name']}: {entry.get('error_message') or kind.__name__}")
    admin.wait_for_topics([topic.name for topic in missing])
    made = {found.name: found for found in _describe(admin, [topic.name for topic in missing])}
    for topic in missing:
        _check_partitions(topic, made[topic.name])
    return [f"created topic {topic.name} with {topic.partitions} partitions" for topic in missing]


def _settle(admin: KafkaAdminClient, wanted: Topic, found: Found) -> list[str]:
    """Set what differs; settings that we do not name stay as the operator made them."""
    differing = {key: value for key, value in wanted.settings.items() if found.settings.get(key) != value}
    if not differing:
        return []
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, wanted.name, differing)])
    return [
        f"changed {key} of topic {wanted.name} from {found.settings.get(key, 'nothing')} to {value}"
        for key, value in differing.items()
    ]


def _partitions(admin: KafkaAdminClient, names: Iterable[str]) -> list[TopicPartition]:
    return [
        TopicPartition(entry["name"], partition["partition_index"])
        for entry in admin.describe_topics(list(names))
        if not entry["error_code"]
        for partition in entry["partitions"]
    ]


def _offsets(admin: KafkaAdminClient, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[Partition, int]:
    if not partitions:
        return {}
    answer = admin.list_partition_offsets(dict.fromkeys(partitions, spec))
    return {(tp.topic, tp.partition): answer[tp].offset for tp in sorted(partitions)}


def _committed(admin: KafkaAdminClient, group: str, partitions: list[TopicPartition]) -> dict[Partition, int]:
    deadline = time.monotonic() + REQUEST_MS / 1000
    while True:
        try:
            taken = admin.list_group_offsets({group: partitions})[group]
        except KafkaError as error:
            # A new cluster makes its topic of group offsets only when it is first asked for.
            if not error.retriable or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return {(tp.topic, tp.partition): entry.offset for tp, entry in taken.items() if entry.offset >= 0}
