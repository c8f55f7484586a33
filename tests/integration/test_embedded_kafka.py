"""The embedded broker as users meet it: start, kill, restart, topics, offsets, and each mistake's one clear error."""

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gridbeacon.config import Broker, Config, Topics
from gridbeacon.errors import ConfigError, Transient
from streams import admin
from streams.access import check_access
from streams.embedded import EmbeddedBroker, KafkaFiles, ensure_kafka
from streams.embedded.ahead import prepare
from streams.embedded.child import Child
from streams.embedded.fetch import cache_directory
from streams.embedded.settings import jvm_flags, server_properties
from streams.kafka import client_settings
from streams.topics import topics

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def node(kafka_files: KafkaFiles, storage: Path, tmp_path: Path):
    shutil.copytree(storage, tmp_path / "kafka" / "data")
    broker = EmbeddedBroker(tmp_path / "kafka", kafka_files)
    yield broker
    broker.kill()


@pytest.fixture
def quiet_clients():
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)


def reach(node: EmbeddedBroker, **broker) -> Config:
    return Config(broker=Broker(bootstrap=node.bootstrap, **broker))


async def produce(config: Config, topic: str, values: list[bytes]) -> None:
    """Half of the values through an idempotent producer, half in one transaction; a third part is aborted."""
    plain = AIOKafkaProducer(**client_settings(config), enable_idempotence=True)
    await plain.start()
    half = len(values) // 2
    for value in values[:half]:
        await plain.send_and_wait(topic, value, partition=0)
    await plain.stop()
    exact = AIOKafkaProducer(**client_settings(config), transactional_id=f"{topic}-0", retry_backoff_ms=20)
    await exact.start()
    await exact.begin_transaction()
    await exact.send_and_wait(topic, b"aborted", partition=0)
    await exact.abort_transaction()
    async with exact.transaction():
        await asyncio.gather(*[await exact.send(topic, value, partition=0) for value in values[half:]])
        await exact.send_offsets_to_transaction({TopicPartition(topic, 0): len(values)}, "readers")
    await exact.stop()


async def consume(config: Config, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(**client_settings(config), isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        at = TopicPartition(topic, 0)
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        end = (await consumer.end_offsets([at]))[at]
        values: list[bytes] = []
        async with asyncio.timeout(20):
            while await consumer.position(at) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


def test_the_broker_serves_after_few_seconds_of_work_and_in_little_memory(node: EmbeddedBroker):
    node.start()
    node.wait_ready()
    process = psutil.Process(node.pid)
    used = process.cpu_times()  # what else the machine does is not its fault
    check_access(reach(node))
    resident_mb = process.memory_info().rss / 1e6
    print(f"ready after {used.user + used.system:.1f} s of work, {resident_mb:.0f} MB resident")
    assert used.user + used.system < 10
    assert resident_mb < 400
    node.stop()
    assert node.pid is None


def test_prepared_classes_are_used_and_damaged_ones_do_no_harm(kafka_files: KafkaFiles, storage: Path, tmp_path: Path):
    known = prepare(kafka_files)
    assert known == kafka_files.classes.exists()
    assert prepare(kafka_files) == known  # the second time there is nothing to do
    own = KafkaFiles(kafka_files.java, tmp_path / "libs")
    own.libs.symlink_to(kafka_files.libs)
    own.classes.write_bytes(b"cut short")
    shutil.copytree(storage, tmp_path / "kafka" / "data")
    node = EmbeddedBroker(tmp_path / "kafka", own)
    try:
        node.start()
        node.wait_ready()
        check_access(reach(node))
        (line,) = [part for part in psutil.Process(node.pid).cmdline() if "AOTCache" in part]
        assert line.endswith(str(own.classes))
    finally:
        node.kill()


def test_acknowledged_records_survive_kill_9_twice(node: EmbeddedBroker, quiet_clients):
    values: list[bytes] = []
    for life in range(3):
        node.start()
        node.wait_ready(30)
        config = reach(node)
        assert bool(admin.init(config)) is (life == 0)
        if values:
            assert asyncio.run(consume(config, "observations")) == values
        new = [f"{life}-{number}".encode() for number in range(40)]
        asyncio.run(produce(config, "observations", new))
        values += new
        assert asyncio.run(consume(config, "observations")) == values
        node.kill()
        assert node.poll() == -9


def test_topics_are_made_once_and_settings_that_differ_are_set(city: Config):
    made = admin.init(city)
    assert f"created topic {city.topics.prefix}observations with 2 partitions" in made
    assert len(made) == len(topics(city))
    assert admin.init(city) == []
    found = {topic.name: topic for topic in admin.describe(city)}
    assert found[f"{city.topics.prefix}detect.state"].settings["cleanup.policy"] == "compact"
    shorter = msgspec.structs.replace(city, topics=msgspec.structs.replace(city.topics, retention_hours=1.0))
    changed = admin.init(shorter)
    assert f"changed retention.ms of topic {city.topics.prefix}alerts from 604800000 to 3600000" in changed
    assert admin.init(shorter) == []


def test_a_wrong_partition_count_is_refused_and_nothing_is_changed(city: Config):
    admin.init(city)
    wrong = msgspec.structs.replace(
        city, topics=msgspec.structs.replace(city.topics, observations_partitions=3, retention_hours=1.0)
    )
    name = city.topics.prefix + "observations"
    with pytest.raises(ConfigError, match=rf"topic {name} has 2 partitions .* wants 3; set its partitions back to 2"):
        admin.init(wrong)
    assert admin.init(city) == []


def test_two_inits_at_once_agree(city: Config):
    code = "import sys, msgspec; from gridbeacon.config import Config; from streams import admin; "
    code += "admin.init(msgspec.json.decode(sys.argv[1], type=Config))"
    text = msgspec.json.encode(city).decode()
    both = [subprocess.Popen([sys.executable, "-c", code, text], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in both] == [(b"", 0), (b"", 0)]
    assert len(admin.describe(city)) == len(topics(city))


def test_lag_counts_what_a_group_has_not_taken(city: Config):
    admin.init(city)
    topic = city.topics.prefix + "alerts"
    assert admin.lag(city, "readers", [topic]) == {(topic, 0): 0, (topic, 1): 0}
    asyncio.run(produce(city, topic, [b"%d" % number for number in range(10)]))
    ends = admin.end_offsets(city, [topic, "missing"])
    assert ends == {(topic, 0): 13, (topic, 1): 0}  # ten records, the aborted one, two marks of transactions
    assert admin.lag(city, "readers", [topic]) == {(topic, 0): 3, (topic, 1): 0}
    assert admin.lag(city, "nobody", [topic]) == {(topic, 0): 13, (topic, 1): 0}


def test_a_replication_factor_beyond_the_cluster_is_named(city: Config):
    greedy = msgspec.structs.replace(city, broker=msgspec.structs.replace(city.broker, replication_factor=3))
    with pytest.raises(ConfigError, match=r"too few nodes for broker\.replication_factor 3"):
        admin.init(greedy)


def test_a_topic_prefix_that_kafka_refuses_is_named(city: Config):
    odd = msgspec.structs.replace(city, topics=Topics(prefix="my city."))
    with pytest.raises(ConfigError, match=r"topics\.prefix"):
        admin.init(odd)


def test_a_second_broker_on_the_port_or_its_neighbour_is_refused(
    broker: Config, kafka_files: KafkaFiles, tmp_path: Path
):
    for port in (broker.broker.port, broker.broker.port - 1):
        second = EmbeddedBroker(tmp_path / "second", kafka_files, port)
        with pytest.raises(ConfigError, match=r"taken by another program .* set broker\.port to a free port"):
            second.start()
        assert second.pid is None


def test_a_second_broker_on_the_same_folder_is_refused(node: EmbeddedBroker, kafka_files: KafkaFiles):
    node.start()
    node.wait_ready()
    second = EmbeddedBroker(node.directory, kafka_files)
    with pytest.raises(ConfigError, match="another Kafka broker already runs on"):
        second.start()
    assert second.pid is None
    check_access(reach(node))
    node.kill()
    second.start()
    second.wait_ready()
    second.kill()


def test_wrong_credentials_and_protocols_are_told_apart(node: EmbeddedBroker, kafka_files: KafkaFiles, quiet_clients):
    node.start()
    node.wait_ready()
    node.stop()
    data = node.directory / "data"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    users = 'user_a="b" user_grid="right"'
    secured = server_properties(node.port, data) | {
        "listeners": f"SASL_PLAINTEXT://{node.bootstrap},CONTROLLER://127.0.0.1:{node.port + 1}",
        "advertised.listeners": f"SASL_PLAINTEXT://{node.bootstrap}",
        "inter.broker.listener.name": "SASL_PLAINTEXT",
        "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{login} username="a" password="b" {users};',
    }
    settings = node.directory / "secured.properties"
    settings.write_text("".join(f"{key}={value}\n" for key, value in secured.items()))
    java = (kafka_files.java, *jvm_flags(256), *kafka_files.flags(), "-cp", f"{kafka_files.libs}/*")
    child = Child((*java, "kafka.Kafka", settings), node.directory / "secured.out")
    child.start()
    try:
        sasl = {"security_protocol": "SASL_PLAINTEXT", "username": "grid"}
        right = reach(node, **sasl, password="right")
        deadline = time.monotonic() + 30
        while True:
            try:
                check_access(right)
                break
            except Transient:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert len(admin.init(right)) == len(topics(right))
        with pytest.raises(ConfigError, match=r"refuses user 'grid'; check broker\.username and broker\.password"):
            admin.init(reach(node, **sasl, password="wrong"))
        with pytest.raises(ConfigError, match=r"does not offer SCRAM-SHA-256; check broker\.sasl_mechanism"):
            admin.init(reach(node, **sasl, password="right", sasl_mechanism="SCRAM-SHA-256"))
        for protocol in ("PLAINTEXT", "SSL"):
            with pytest.raises(Transient, match=rf"hangs up on {protocol}; check broker\.security_protocol"):
                admin.init(reach(node, security_protocol=protocol))
    finally:
        child.kill()


def test_an_interrupted_fetch_goes_on_where_it_stopped_and_two_at_once_agree(
    kafka_files: KafkaFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With every jar in the unfinished folder nothing is fetched any more: an unreachable network proves it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        name = kafka_files.libs.name
        partial = cache_directory() / f"{name}.partial"
        shutil.copytree(kafka_files.libs, partial, copy_function=os.symlink)
        missing = partial / "kafka_2.13-4.1.0.jar"
        missing.unlink()
        with pytest.raises(Transient, match="could not be fetched"):
            ensure_kafka()
        assert not (cache_directory() / name).exists()
        missing.symlink_to(kafka_files.libs / missing.name)
        code = "from streams.embedded import ensure_kafka; print(ensure_kafka().libs)"
        both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
        answers = {one.communicate(timeout=60)[0].decode().strip() for one in both}
        assert answers == {str(cache_directory() / name)}
        assert not partial.exists()
