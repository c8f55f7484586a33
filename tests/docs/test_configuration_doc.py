"""``docs/configuration.md`` names every key with its default and range, and no key that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import FieldInfo

from gridbeacon.config import Account, AlarmShare, CalendarFile, Config, DetectorOf, Ladder, Webhook
from gridbeacon.config_file import load
from gridbeacon.config_forecast import ForecasterOf
from gridbeacon.config_routing import Escalation, Inhibition, Receiver, Route, Shift
from gridbeacon.config_rules import ROLES
from gridbeacon.config_section import Section
from gridbeacon.config_values import OVERRIDES, say
from gridbeacon.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
IN_WORDS = {
    "notify.webhooks": "a list of webhooks",
    "clickhouse.accounts": "a list of accounts",
    "calendar.files": "a list of files",
    "detect.series": "a list of choices",
    "forecast.series": "a list of choices",
    "alarm_budget.shares": "a list of shares",
    "routing.receivers": "a list of receivers",
    "routing.receivers.on_duty": "a list of shifts",
    "routing.routes": "a list of routes",
    "routing.escalations": "a list of escalations",
    "routing.inhibit": "a list of inhibitions",
} | {f"limits.{surface}": "a ladder" for surface in ("moving", "stairs", "standing")}
"""What these keys take is a table of its own."""


ROUTING: dict[str, type[Section]] = {
    "routing.receivers": Receiver,
    "routing.receivers.on_duty": Shift,
    "routing.routes": Route,
    "routing.escalations": Escalation,
    "routing.inhibit": Inhibition,
}


def keys(kind: type[Section] = Config, above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key with its field; the keys of all webhooks, accounts and files are those of one."""
    for field in msgspec.structs.fields(kind):
        key = above + field.name
        is_section = isinstance(field.type, type) and issubclass(field.type, Section)
        if not is_section or field.type is Ladder:
            yield key, field
        if is_section:
            yield from keys(field.type, f"{key}.")
        if key == "notify.webhooks":
            yield from keys(Webhook, f"{key}.")
        if key == "clickhouse.accounts":
            yield from keys(Account, f"{key}.")
        if key == "calendar.files":
            yield from keys(CalendarFile, f"{key}.")
        if key == "detect.series":
            yield from keys(DetectorOf, f"{key}.")
        if key == "forecast.series":
            yield from keys(ForecasterOf, f"{key}.")
        if key == "alarm_budget.shares":
            yield from keys(AlarmShare, f"{key}.")
        if key in ROUTING:
            yield from keys(ROUTING[key], f"{key}.")


def documented() -> dict[str, tuple[str, str]]:
    """Return (default, takes) of every key that a table describes."""
    found: dict[str, tuple[str, str]] = {}
    for heading, text in re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##+ |\Z)", DOC, re.MULTILINE | re.DOTALL):
        sections = [""] if heading == "Top level" else [f"{name}." for name in re.findall(r"`([a-z_.]+)`", heading)]
        for key, default, takes in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| .+ \|$", text, re.MULTILINE):
            for section in sections:
                assert section + key not in found, f"{section}{key} is described twice"
                found[section + key] = (default, takes)
    return found


def written(field: FieldInfo) -> str:
    """Return a default as the tables write it."""

    def one(value: Any) -> str:
        match value:
            case bool():
                return str(value).lower()
            case float():
                return f"{value:.0f}" if value.is_integer() else repr(value)
            case dict():
                return "{" + ", ".join(f"{key}: {one(inner)}" for key, inner in value.items()) + "}"
            case tuple() | list():
                return "[" + ", ".join(one(inner) for inner in value) + "]"
            case _:
                return str(value)

    if field.required:
        return "required"
    if field.default_factory is dict:
        return "`{}`"
    return f"`{one(msgspec.to_builtins(field.default))}`" if field.default != "" else "empty"


def test_every_key_is_described_with_its_default_and_range_and_no_other() -> None:
    expected = {key: (written(field), IN_WORDS.get(key) or say(field.type)) for key, field in keys()}
    assert documented() == expected


def test_every_key_named_in_the_text_exists() -> None:
    known = {key for key, _ in keys()} | set(Config.__struct_fields__)
    known |= {key.rpartition(".")[0] for key in known}
    sections = "|".join(Config.__struct_fields__)
    for key in re.findall(rf"`((?:{sections})\.[a-z_.]+)`", DOC):
        assert key in known, f"{key} is no key"


def test_every_variable_is_listed_with_its_key() -> None:
    assert dict(re.findall(r"^\| `(GRIDBEACON_\w+)` \| `([a-z_.]+)` \|$", DOC, re.MULTILINE)) == OVERRIDES


def test_the_example_is_read(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    (tmp_path / "clickhouse").write_text("house\n", encoding="utf-8")
    file = tmp_path / "gridbeacon.yaml"
    file.write_text(shown.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    config = load(file, {"KAFKA_PASSWORD": "word", "DISPATCH_SECRET": SECRET})
    assert (config.broker.password, config.clickhouse.password) == ("word", "house")
    assert config.notify.webhooks[0].secrets == (SECRET,)
    assert config.limits == Config().limits


def test_the_message_shown_is_the_message_given(tmp_path: Path) -> None:
    (shown,) = re.findall(r"`(gridbeacon\.yaml:\d+: .*?)`", DOC)
    file = tmp_path / "gridbeacon.yaml"
    file.write_text("timezone: UTC\nbroker:\n  prot: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert str(caught.value).replace(str(file), "gridbeacon.yaml") == shown


def test_the_numbers_of_ports_are_right() -> None:
    assert ROLES == 7  # "the first of seven ports"
