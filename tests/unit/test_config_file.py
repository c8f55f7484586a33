"""The configuration file: every mistake is one sentence with file, line, key and fix; what is right is read."""

import re
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbeacon.config import Config
from gridbeacon.config_file import HIDDEN, load, redacted
from gridbeacon.config_values import OVERRIDES, expand
from gridbeacon.errors import ConfigError
from gridbeacon.reasons import Mode

MISTAKES = sorted((Path(__file__).parent / "config_mistakes").glob("*.yaml"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def read(tmp_path):
    """Load a text as configuration file."""

    def load_text(text: str | bytes, environ: dict[str, str] | None = None) -> Config:
        file = tmp_path / "gridbeacon.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return load(file, environ or {})

    return load_text


def test_there_are_mistakes_to_try():
    assert len(MISTAKES) >= 20


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_a_mistake_is_told_with_line_key_and_fix(file):
    first, second, *_ = file.read_bytes().decode("utf-8", "replace").split("\n")
    expected, line = first.removeprefix("# expect: "), second.removeprefix("# line: ")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    text = str(caught.value)
    assert text.startswith(f"{file}:{line}: ")
    assert expected in text
    assert "\n" not in text
    assert SECRET not in text


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "broker:\n  # port: 1\n", "\ufeff", "{}"])
def test_an_empty_file_means_the_defaults(read, text):
    assert read(text) == Config() == load(None, {})


def test_the_defaults_break_no_rule_when_written_out(read):
    assert read(yaml.safe_dump(msgspec.to_builtins(Config()))) == Config()


def test_values_of_every_form_are_read(read):
    config = read(
        f"""
        clock: event
        timezone: Asia/Shanghai
        data_dir: 2022-12-31
        registry: {{sensors: [a.csv, b.geojson]}}
        limits:
          moving: {{blue: 1, yellow: 2, orange: 3.5, red: 5}}
          capacity_shares: [0.5, 0.6, 1]
        situate: {{mode: exercise}}
        clickhouse: {{host: ch.example.org, port: 19092, secure: true}}
        notify:
          webhooks:
            - name: centre
              url: https://dispatch.example.org/a?token=b
              secrets: [{SECRET}]
              modes: [live, test]
        """
    )
    assert (config.clock, config.timezone, config.data_dir) == ("event", "Asia/Shanghai", "2022-12-31")
    assert config.registry.sensors == ("a.csv", "b.geojson")
    assert config.limits.moving.blue == 1.0
    assert isinstance(config.limits.moving.blue, float)
    assert config.limits.capacity_shares == (0.5, 0.6, 1.0)
    assert config.limits.stairs == Config().limits.stairs
    assert config.situate.mode is Mode.EXERCISE
    assert config.clickhouse.port == 19092  # on another machine, where the embedded broker's port is free
    assert config.notify.webhooks[0].modes == (Mode.LIVE, Mode.TEST)


@pytest.mark.parametrize("bootstrap", ["localhost:9092", "127.0.0.1:9092,[::1]:9093", " LOCALHOST:9092 "])
def test_plaintext_is_permitted_on_this_machine(read, bootstrap):
    assert read(f"broker: {{bootstrap: '{bootstrap}'}}").broker.bootstrap == bootstrap


def test_tls_is_permitted_everywhere(read):
    sasl = "broker: {bootstrap: 'kafka.example.org:9093', security_protocol: SASL_SSL, username: a, password: b}"
    assert read(sasl).broker.password == "b"
    assert read("broker: {bootstrap: '10.0.0.7:9093', security_protocol: SSL}").broker.port == 19092


def test_references_are_replaced_and_what_they_hold_is_not_replaced_again(read, tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    config = read(
        f"""
        data_dir: ${{BASE:-/var/lib}}/${{NAME}}
        clickhouse: {{password: "${{DOLLARS}}", database: "$${{plain}} $1 ${{EMPTY}}${{EMPTY:-db}}"}}
        notify: {{webhooks: [{{name: a, url: "https://h/${{NAME}}", secrets: ["${{file:{tmp_path}/secret}}"]}}]}}
        """,
        {"NAME": "beacon", "DOLLARS": "${NAME}", "EMPTY": ""},
    )
    assert config.data_dir == "/var/lib/beacon"
    assert (config.clickhouse.password, config.clickhouse.database) == ("${NAME}", "${plain} $1 db")
    assert config.notify.webhooks[0].url == "https://h/beacon"
    assert config.notify.webhooks[0].secrets == (SECRET,)


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A B}", "${A-b}", "${A", "${A:-${B}}", "${file:}"])
def test_a_wrong_reference_is_a_configuration_error(text):
    if text == "${A:-${B}}":  # not nested: the reference ends at the first brace
        assert expand(text, {}) == "${B}"
        return
    with pytest.raises(ConfigError, match=r"no reference|can't be read"):
        expand(text, {})


def test_the_environment_overrides_connections_and_secrets(read, tmp_path):
    (tmp_path / "word").write_bytes(b" top secret \r\n")
    text = "broker: {bootstrap: 'localhost:1'}\nclickhouse: {port: 20000, password: a}"
    config = read(
        text,
        {
            "GRIDBEACON_BROKER_BOOTSTRAP": "kafka.example.org:9093",
            "GRIDBEACON_BROKER_SECURITY_PROTOCOL": "SASL_SSL",
            "GRIDBEACON_BROKER_USERNAME": "007",
            "GRIDBEACON_BROKER_PASSWORD_FILE": str(tmp_path / "word"),
            "GRIDBEACON_CLICKHOUSE_PORT": "20001",
            "GRIDBEACON_CLICKHOUSE_SECURE": "true",
            "GRIDBEACON_CLICKHOUSE_PASSWORD": "${not expanded}",
            "GRIDBEACON_DATA_DIR": "/srv/data",
            "GRIDBEACON_LIMITS_FOR_SECS": "not ours to read",
        },
    )
    assert config.broker.bootstrap == "kafka.example.org:9093"
    assert (config.broker.username, config.broker.password) == ("007", " top secret ")
    assert (config.clickhouse.port, config.clickhouse.secure) == (20001, True)
    assert (config.clickhouse.password, config.data_dir) == ("${not expanded}", "/srv/data")


def test_every_override_can_be_given():
    plain = msgspec.to_builtins(Config())
    for variable, key in OVERRIDES.items():
        value = plain
        for name in key.split("."):
            value = value[name]
        assert load(None, {variable: str(value)}) == Config()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"GRIDBEACON_BROKER_PROT": "1"},
            "GRIDBEACON_BROKER_PROT: no such environment variable is known; did you mean",
        ),
        ({"GRIDBEACON_BROKER_PORT": "x"}, "GRIDBEACON_BROKER_PORT: broker.port: 'x' is not a whole number from 0"),
        ({"GRIDBEACON_BROKER_PORT": "70000"}, "broker.port: '70000' is not a whole number from 0 to 65535"),
        ({"GRIDBEACON_CLICKHOUSE_SECURE": "maybe"}, "clickhouse.secure: 'maybe' is not true or false"),
        ({"GRIDBEACON_BROKER_PASSWORD": "\0"}, "GRIDBEACON_BROKER_PASSWORD: broker.password: it holds a character"),
        ({"GRIDBEACON_BROKER_PASSWORD": "\udce9"}, "GRIDBEACON_BROKER_PASSWORD: broker.password: it holds a character"),
        ({"GRIDBEACON_BROKER_PASSWORD_FILE": "/no/file"}, "GRIDBEACON_BROKER_PASSWORD_FILE: broker.password: the file"),
        ({"GRIDBEACON_DATA_DIR": "a", "GRIDBEACON_DATA_DIR_FILE": "b"}, "GRIDBEACON_DATA_DIR_FILE is set too"),
        ({"GRIDBEACON_DATA_DIR": ""}, "GRIDBEACON_DATA_DIR: data_dir: it is empty"),
        (
            {"GRIDBEACON_BROKER_PORT": "18999"},
            "GRIDBEACON_BROKER_PORT: broker.port: clickhouse.port (19000) and broker",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(environ, expected):
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(None, environ)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "missing.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError, match="correct"):
            load(path, {})


def test_no_message_repeats_a_secret(read):
    token = "s3cr3t-t0k3n"
    for text in (
        f"broker: {{password: [{token}]}}",
        f"broker: {{password: !x {token}}}",
        f"broker: {{password: '{token}\\0'}}".replace("'", '"'),
        f"notify: {{webhooks: [{{name: a, url: 'ftp://{token}/', secrets: []}}]}}",
        f"notify: {{webhooks: [{{name: a, url: 'https://h/', secrets: ['{token}']}}]}}",
        f"notify: {{webhooks: [{{name: a, url: 'https://h/', secrets: 'whsec_{token}'}}]}}",
    ):
        with pytest.raises(ConfigError) as caught:
            read(text)
        assert token not in str(caught.value)


def test_redacted_is_plain_data_without_secrets(read):
    config = read(
        f"""
        broker: {{password: kafka-word}}
        clickhouse: {{password: house-word}}
        notify:
          webhooks:
            - {{name: a, url: "https://h.example.org:8443/in?key=query-word#x", secrets: [{SECRET}]}}
            - {{name: b, url: "https://b.example.org/hook/path-word", profile: feishu, sign_secret: sign-word}}
            - {{name: c, url: "https://c.example.org/", profile: pagerduty, routing_key: routing-word}}
        """
    )
    first, *others = config.notify.webhooks
    first = msgspec.structs.replace(first, url=first.url.replace("h.ex", "me:url-word@h.ex"))  # as nobody may write it
    config = msgspec.structs.replace(config, notify=msgspec.structs.replace(config.notify, webhooks=(first, *others)))
    plain = redacted(config)
    shown = msgspec.json.encode(plain).decode()
    for word in "kafka house url query path sign routing".split():
        assert f"{word}-word" not in shown
    assert SECRET not in shown
    assert plain["notify"]["webhooks"][0]["url"] == "https://h.example.org:8443/in"
    assert plain["notify"]["webhooks"][0]["secrets"] == [HIDDEN]
    assert plain["broker"]["password"] == plain["clickhouse"]["password"] == HIDDEN
    assert redacted(Config())["broker"]["password"] == ""  # nothing set is worth knowing
    assert redacted(Config()) == msgspec.to_builtins(Config())


_PIECES = st.sampled_from(
    [
        *(
            "broker:",
            "port:",
            "password:",
            "limits:",
            "moving:",
            "notify:",
            "webhooks:",
            "secrets:",
            "grid:",
            "pattern:",
        ),
        *(
            "capacity_shares:",
            "timezone:",
            "data_dir:",
            "\n",
            "\n  ",
            "\n    ",
            "\n- ",
            "- ",
            "\t",
            "\x00",
            "\x85",
            "é",
        ),
        *(
            "{",
            "}",
            "[",
            "]",
            ",",
            "'",
            '"',
            "&a",
            "*a",
            "!!int",
            "!x",
            "<<",
            "?",
            "#",
            ">",
            "|",
            "---",
            "...",
            "%YAML 1.1",
        ),
        *(
            "~",
            "1",
            "-1",
            ".nan",
            "1e999",
            "0b_",
            "0x",
            "99999999999999999999",
            "12:30:9999999999999",
            "2022-99-99",
            "yes",
        ),
        *("${A}", "${file:/}", "${", '"\\ud800"', '"\\U99999999"', "(", "a{9999999999}", "/", "../..", "embedded"),
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60), st.lists(_PIECES, max_size=14).map(" ".join)))
def test_any_content_gives_a_config_or_a_config_error(read, content):
    with suppress(ConfigError):
        assert isinstance(read(content.encode("utf-8") if isinstance(content, str) else content), Config)


class _Written(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}))
_KEYS = [
    (section, key)
    for section, values in msgspec.to_builtins(Config()).items()
    for key in (values if isinstance(values, dict) else [None])
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_KEYS), st.one_of(_LEAVES, st.lists(_LEAVES, max_size=3)))
def test_any_value_of_a_key_is_read_or_refused_with_its_key(read, where, value):
    section, key = where
    try:
        read(yaml.dump({section: value if key is None else {key: value}}, Dumper=_Written))
        told = section
    except ConfigError as error:
        told = str(error)
    assert section in told
