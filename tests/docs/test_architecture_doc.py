"""``docs/architecture.md`` walks what is there: files, topics, commands, nouns, verbs, roles, layers."""

import importlib
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from gridbeacon import model
from gridbeacon.cli.run import ROLES
from gridbeacon.config import Config
from streams import supervise
from streams.topics import SOURCES, topics
from tests.commands import gridbeacon

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NOUNS = ["Observation", "Verdict", "Situation", "Alert", "Notice"]
VERBS = ["decode", "observe", "assess", "advance", "hold back"]


def section(title: str) -> str:
    return DOC.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def cells(title: str) -> list[list[str]]:
    """Return the rows of a section's table, less heading and rule."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_file_that_is_named_exists() -> None:
    files = re.findall(r"`([\w./]+\.(?:py|sql|yaml|md|toml))`", DOC)
    assert len(files) > 10
    for name in files:
        assert (ROOT / name).is_file(), name


def test_the_topics_are_those_of_the_code() -> None:
    rows = [f"| `{t.name}` | {t.carries} | {t.written_by} | {t.read_by} |" for t in topics(Config())]
    assert [line for line in section("Topics").splitlines() if line.startswith("| `")] == rows


def test_the_picture_shows_every_topic_that_carries_records_and_every_role() -> None:
    picture = section("The straight line")
    for topic in topics(Config()):
        if not topic.name.endswith(".state"):
            assert re.search(rf"(?<![\w.]){re.escape(topic.name)}(?![\w.])", picture), topic.name
    for role in ROLES:
        assert re.search(rf"\b{role}\b", picture), role
    assert all(name in picture for name in SOURCES)


def test_the_nouns_are_types() -> None:
    rows = cells("Five nouns")
    assert [noun.strip("`") for noun, _ in rows] == NOUNS
    for noun in NOUNS:
        assert issubclass(getattr(model, noun), msgspec.Struct)


def test_the_verbs_can_be_called_and_stand_where_it_says() -> None:
    rows = cells("Five verbs")
    assert [verb for verb, *_ in rows] == VERBS
    for verb, where, _ in rows:
        name, file = re.fullmatch(r"`([\w.]+)` in `([\w/.]+)`", where).groups()
        assert name.rpartition(".")[2] == verb.replace(" ", "_")
        found = _import(name)
        assert callable(found)
        assert found.__code__.co_filename == str(ROOT / file)


def _import(name: str):
    """Return what a dotted name stands for: a module, then what is in it."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for part in parts[n:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def test_the_roles_are_those_of_the_command_line_and_keep_state_where_it_says() -> None:
    rows = cells("Roles")
    assert [role.strip("`") for role, *_ in rows] == list(ROLES)
    states = {topic.name for topic in topics(Config()) if topic.name.endswith(".state")}
    for role, where, _, state in rows:
        name = role.strip("`")
        assert where == ("`web/serve.py`" if name == "api" else f"`streams/{name}.py`")
        assert state == (f"in `{name}.state`" if f"{name}.state" in states else "no")


def test_up_starts_the_processes_that_it_says() -> None:
    (said,) = re.findall(r"in this order, and starts again whichever ends: (.*?)\.", section("Roles"), re.DOTALL)
    assert re.findall(r"`(\w+)`", said) == [supervise.DATABASE, supervise.BROKER, *ROLES]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`gridbeacon ([a-z-]+)", DOC))))
def test_every_command_that_is_named_exists(command: str) -> None:
    assert gridbeacon(command, "--help", cwd=ROOT).returncode == 0


def test_the_layers_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (checked,) = [contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers"]
    said = [set(re.findall(r"`([\w.]+)`", packages)) for _, packages, _ in cells("Layers")]
    assert said == [{"gridbeacon.cli"}, *[set(layer.replace(" ", "").split("|")) for layer in checked]]


def test_it_is_one_page() -> None:
    assert len(DOC.split()) < 1300
