"""The files of a deployment name what exists: files, ports, variables, commands, secrets; and they are hardened."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import typer
import yaml

from dashboards.query import CLICKHOUSE, PLUGIN_VERSION, PROMETHEUS
from gridbeacon.cli import app
from gridbeacon.cli.roles import NUMBER
from gridbeacon.cli.run import ROLES
from gridbeacon.config_file import load
from gridbeacon.config_values import OVERRIDES
from gridbeacon.registry_file import load_registry
from sinks.embedded.accounts import OPEN
from streams.ready import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
ANSWERING_PORTS = {"kafka": 9092, "clickhouse": 8443, "prometheus": 9090, "grafana": 3000}
"""Where each part that is not ours answers, by its own settings in this repository or by its documentation."""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets") / "made"
    subprocess.run([ROOT / "deploy" / "make-secrets", folder], check=True, capture_output=True, timeout=60)
    return folder


def test_it_is_valid_by_the_compose_specification() -> None:
    file = ROOT / ".." / "shared" / "data" / "compose" / "compose-spec.json"
    if not file.exists():
        pytest.skip(f"the compose specification is not at {file}")
    schema = json.loads(file.read_text("utf-8"))
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_every_role_has_its_service_with_its_command() -> None:
    commands = {name: one["command"] for name, one in OURS.items()}
    assert commands.pop("init") == ["init"]
    assert commands == {role: ["worker", role] for role in ROLES}
    known = typer.main.get_command(app).commands
    assert {words[0] for words in commands.values()} | {"init"} <= set(known)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened_limited_and_watched(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in one
    limits = one["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert limits["cpus"]
    assert one["healthcheck"].get("disable") is True if name == "init" else one["healthcheck"]["test"][0] == "CMD"
    assert re.fullmatch(r"[\w/-]+:v?\d+(\.\d+){2,3}", one["image"])
    for port in one.get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_is_mounted_exists_and_can_not_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_every_secret_is_a_file_that_make_secrets_makes_and_no_value_stands_in_the_file(secrets: Path) -> None:
    assert {Path(one["file"]).name for one in COMPOSE["secrets"].values()} <= {file.name for file in secrets.iterdir()}
    for one in COMPOSE["secrets"].values():
        assert Path(one["file"]).parent == Path("secrets")
    used = {s if isinstance(s, str) else s["source"] for one in SERVICES.values() for s in one.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    for name, one in SERVICES.items():
        for key, value in (one.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", key):
                assert value.startswith("/run/secrets/"), f"{name}: {key}"
                assert Path(value).name in one["secrets"], f"{name}: {key}"


def test_what_is_read_below_run_secrets_is_given_to_who_reads_it() -> None:
    """Each /run/secrets/NAME in a file or variable of a service is among that service's secrets."""
    texts = {
        "kafka": (ROOT / "deploy/kafka/server.properties").read_text() + str(SERVICES["kafka"]["environment"]),
        "clickhouse": (ROOT / "deploy/clickhouse/server.xml").read_text(),
        "grafana": (ROOT / "dashboards/provisioning/datasources/gridbeacon.yaml").read_text(),
        **{name: (ROOT / "deploy/gridbeacon.yaml").read_text() + str(one["environment"]) for name, one in OURS.items()},
    }
    for name, text in texts.items():
        named = set(re.findall(r"/run/secrets/(\w+)", text))
        assert named
        assert named <= {s for s in SERVICES[name]["secrets"] if isinstance(s, str)}


def test_every_variable_of_ours_is_one_that_is_read() -> None:
    known = set(OVERRIDES) | {f"{name}_FILE" for name in OVERRIDES} | {VARIABLE}
    for one in OURS.values():
        assert set(one["environment"]) <= known
    for unit in UNITS:
        assert set(re.findall(r"\b(GRIDBEACON_\w+)=", unit.read_text())) <= known
    assert f"{VARIABLE}=/tmp/ready" in DOCKERFILE
    asked = set(re.findall(r"\$\{(\w+)\}", (ROOT / "dashboards/provisioning/datasources/gridbeacon.yaml").read_text()))
    assert asked == {name for name in SERVICES["grafana"]["environment"] if name.startswith("GRIDBEACON_")} | set()


def test_the_configuration_is_right_with_the_secrets_that_are_made(secrets: Path) -> None:
    environ = {
        name: str(secrets / Path(path).name)
        for name, path in OURS["store"]["environment"].items()
        if path.startswith("/run/secrets/")
    }
    config = load(ROOT / "deploy" / "gridbeacon.yaml", environ)
    assert config.broker.password == (secrets / "kafka_password").read_text()
    assert config.clickhouse.password == (secrets / "clickhouse_writer_password").read_text()
    assert config.broker.security_protocol == "SASL_SSL"
    assert config.clickhouse.secure
    assert len(load_registry(config, ROOT / "deploy").sensors) == 2


def test_hosts_ports_and_users_are_those_of_the_services(secrets: Path) -> None:
    config = load(ROOT / "deploy" / "gridbeacon.yaml", {})
    properties = dict(
        line.split("=", 1)
        for line in (ROOT / "deploy/kafka/server.properties").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert f"CLIENTS://{config.broker.bootstrap}" in properties["advertised.listeners"]
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{config.broker.bootstrap.partition(':')[2]}:9093"]
    assert properties["log.dirs"] in str(SERVICES["kafka"]["volumes"])
    assert f'user_{config.broker.username}="' in (secrets / "kafka_jaas").read_text()
    server = ET.parse(ROOT / "deploy/clickhouse/server.xml").getroot()
    assert server.findtext("tcp_port_secure") == str(config.clickhouse.port)
    users = ET.fromstring((secrets / "clickhouse_users").read_text()).find("users")
    assert config.clickhouse.username in {user.tag for user in users}
    assert {account.name for account in OPEN} == {user.tag for user in users}
    assert config.clickhouse.host in SERVICES
    (source, metrics) = yaml.safe_load(
        (ROOT / "dashboards/provisioning/datasources/gridbeacon.yaml").read_text()
    )["datasources"]  # fmt: skip
    assert (source["uid"], metrics["uid"]) == (CLICKHOUSE.uid, PROMETHEUS.uid)
    assert source["jsonData"]["username"] in {user.tag for user in users}
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GRIDBEACON_CLICKHOUSE_HOST"] == config.clickhouse.host
    assert grafana["GRIDBEACON_CLICKHOUSE_PORT"] == str(config.clickhouse.port)
    assert grafana["GRIDBEACON_CLICKHOUSE_DATABASE"] == config.clickhouse.database
    assert grafana["GF_PLUGINS_PREINSTALL_SYNC"] == f"{source['type']}@{PLUGIN_VERSION}"
    for name, port in ANSWERING_PORTS.items():
        assert f":{port}" in str(SERVICES[name]["healthcheck"]["test"])


def test_every_role_is_scraped_at_its_own_port() -> None:
    config = load(ROOT / "deploy" / "gridbeacon.yaml", {})
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    asked = {one["names"][0]: one["port"] for one in job["dns_sd_configs"]}
    assert asked == {role: config.observability.metrics_port + NUMBER[role] for role in ROLES}
    assert config.observability.metrics_listen == "0.0.0.0"


def test_health_is_the_word_of_the_role_itself() -> None:
    for name, one in OURS.items():
        if name != "init":
            assert one["healthcheck"]["test"] == ["CMD", "test", "-e", one["environment"][VARIABLE]]
    assert '["test", "-e", "/tmp/ready"]' in DOCKERFILE


def test_the_image_holds_every_package_and_is_not_root() -> None:
    import tomllib

    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for package in packages["packages"]:
        assert f"COPY {package} {package}\n" in DOCKERFILE
        assert f"!{package}" in ignored
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for one in source.split():
            assert (ROOT / one).exists()
            assert f"!{one}" in ignored
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert "PYTHONSAFEPATH=1" in DOCKERFILE
    assert all("slim" in image for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (1, 1), (3, 3), (4, 0)])
def test_the_entrypoint_keeps_who_must_stay_down_down(code: int, seen: int) -> None:
    done = subprocess.run(
        [ROOT / "deploy" / "entrypoint", "sh", "-c", f"exit {code}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == seen
    assert ("before a person has looked" in done.stderr) == (code == 4)


def test_the_entrypoint_passes_signals_on_and_waits_for_an_orderly_end() -> None:
    program = (
        "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.3), print('in order'), sys.exit(7)))"
    )
    child = subprocess.Popen(
        [ROOT / "deploy" / "entrypoint", sys.executable, "-c", f"{program}; print('up', flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "up\n"
    began = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    out, _ = child.communicate(timeout=20)
    assert (out, child.returncode) == ("in order\n", 7)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_systemd_unit_starts_a_command_that_there_is_and_stays_down_on_4(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text("utf-8")
    for words in re.findall(r"^ExecStart=/opt/gridbeacon/bin/gridbeacon (.+)$", text, re.MULTILINE):
        command, *rest = words.replace("%i", ROLES[0]).split()
        with typer.main.get_command(app).commands[command].make_context(command, rest):
            pass
    if unit.suffix == ".service":
        assert "RestartPreventExitStatus=4" in text
        assert "PYTHONSAFEPATH=1" in text
        assert "NoNewPrivileges=yes" in text
    if shutil.which("systemd-analyze"):
        for one in UNITS:
            (tmp_path / one.name).write_text(one.read_text().replace("/opt/gridbeacon/bin/gridbeacon", "/bin/true"))
        name = unit.name.replace("@.", "@detect.")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        )
        about_us = [line for line in done.stderr.splitlines() if "gridbeacon" in line]
        assert (done.returncode, about_us) == (0, [])
