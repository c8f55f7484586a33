"""What can be run of a deployment without containers: its Kafka with TLS and passwords, and back-up and restore."""

import re
import shlex
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from gridbeacon.cli.fixture import load
from gridbeacon.config import Broker, ClickHouse, Config, Topics
from gridbeacon.config_file import load as load_config
from gridbeacon.demo.fixture.plan import Size
from gridbeacon.errors import GridbeaconError
from streams import admin
from streams.access import check_access
from streams.embedded import EmbeddedBroker, KafkaFiles
from streams.embedded.child import Child
from streams.embedded.ports import accepts, free_pair
from streams.embedded.settings import CLUSTER_ID, jvm_flags
from tests.servers import ROOT, Server, free_port

pytestmark = pytest.mark.integration
DOC = (ROOT / "docs" / "deploy.md").read_text("utf-8")


def test_the_broker_of_the_compose_file_takes_our_clients_over_tls_with_the_password_alone(
    kafka_files: KafkaFiles, tmp_path: Path
) -> None:
    """Apache Kafka itself with deploy/kafka/server.properties; only ports and paths are others than in the image."""
    secrets, data = tmp_path / "secrets", tmp_path / "data"
    subprocess.run([ROOT / "deploy" / "make-secrets", secrets], check=True, capture_output=True, timeout=60)
    port, local = free_pair(), free_pair()
    text = (ROOT / "deploy" / "kafka" / "server.properties").read_text("utf-8")
    for image, here in (
        ("/run/secrets", str(secrets)),
        ("/var/lib/kafka/data", str(data)),
        ("CLIENTS://:9093", f"CLIENTS://127.0.0.1:{port}"),
        ("CLIENTS://kafka:9093", f"CLIENTS://127.0.0.1:{port}"),
        ("127.0.0.1:9092", f"127.0.0.1:{local}"),
        ("127.0.0.1:9094", f"127.0.0.1:{local + 1}"),
    ):
        assert image in text
        text = text.replace(image, here)
    (tmp_path / "server.properties").write_text(text)
    java = [
        kafka_files.java,
        *jvm_flags(320),
        *kafka_files.flags(),
        f"-Djava.security.auth.login.config={secrets / 'kafka_jaas'}",
        "-cp",
        f"{kafka_files.libs}/*",
    ]
    made = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", tmp_path / "server.properties"]
    subprocess.run([*java, *made], check=True, capture_output=True, timeout=60)
    node = Child([*java, "kafka.Kafka", tmp_path / "server.properties"], tmp_path / "kafka.out", {})
    node.start()
    try:
        _wait(lambda: accepts(port), node)
        environ = {
            "GRIDBEACON_BROKER_PASSWORD_FILE": str(secrets / "kafka_password"),
            "GRIDBEACON_BROKER_CA_FILE": str(secrets / "ca_cert"),
            "GRIDBEACON_BROKER_BOOTSTRAP": f"127.0.0.1:{port}",
        }
        config = load_config(ROOT / "deploy" / "gridbeacon.yaml", environ)
        config = msgspec.structs.replace(config, topics=Topics(source_partitions=1, observations_partitions=1))
        check_access(config)
        assert admin.init(config)
        wrong = msgspec.structs.replace(config, broker=msgspec.structs.replace(config.broker, password="another"))
        with pytest.raises(GridbeaconError, match="password"):
            check_access(wrong)
    finally:
        node.stop(10)


def _wait(ready, node: Child) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert node.poll() is None, node.why_ended()
        assert time.monotonic() < deadline, "the broker does not answer"
        time.sleep(0.05)


def test_what_was_backed_up_as_the_page_says_is_there_after_it_was_restored(
    kafka_files: KafkaFiles, tmp_path: Path
) -> None:
    """The commands of the page itself: stop, copy, lose everything, restore; rows and topics are the same."""
    data = tmp_path / "gridbeacon-data"
    backup, restore = (
        [shlex.split(line) for line in block.splitlines() if line.startswith("tar")]
        for block in re.findall(r"^```sh\n(# (?:back up|restore).*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    )
    size, port = Size(days=1, sensors=6), free_port()
    config = Config(
        clickhouse=ClickHouse(port=port), broker=Broker(port=free_pair()), topics=Topics(source_partitions=1)
    )

    def running(work):
        server = Server(data / "clickhouse", port).until_ready()
        broker = EmbeddedBroker(data / "kafka", kafka_files, config.broker.port)
        broker.start()
        try:
            broker.wait_ready()
            return work(server)
        finally:
            broker.stop()
            server.end()

    def stored(server: Server) -> list:
        with server.client(database="gridbeacon") as client:
            tables = ("observations", "observations_15m", "alerts", "alert_events", "grid_events", "places")
            ask = "SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {} {}"
            return [client.execute(ask.format(one, "" if one.endswith("15m") else "FINAL")) for one in tables]

    def fill(server: Server) -> list:
        assert load(size, config, lambda _: None) > 1000
        assert admin.init(config)
        return stored(server)

    before = running(fill)
    for words in backup:
        subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    subprocess.run(["rm", "-r", data], check=True, timeout=60)
    for words in restore:
        subprocess.run(words, cwd=tmp_path, check=True, timeout=60)

    def look(server: Server) -> None:
        assert stored(server) == before
        assert admin.init(config) == []  # every topic is there, as it was
        load(size, config, lambda _: None)
        assert stored(server) == before  # the database still knows what it has acknowledged

    running(look)
