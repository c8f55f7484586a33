"""``docs/deploy.md`` names services, files, commands and figures that are so."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from gridbeacon.cli import app
from gridbeacon.config import Config
from gridbeacon.config_values import storable
from gridbeacon.errors import STAY_DOWN_CODE

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
FIGURES = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


def test_every_service_has_its_row_with_the_port_that_is_open() -> None:
    table = DOC.partition("| service | what | open to |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == set(SERVICES)
    for name, one in SERVICES.items():
        (row,) = [line for line in table.splitlines() if f"`{name}`" in line]
        for port in one.get("ports", []):
            assert port.rpartition(":")[0] in row


def test_every_file_that_is_named_exists() -> None:
    files = set(re.findall(r"`((?:deploy|dashboards|docs)/[\w./@-]+|docker-compose\.yml)`", DOC))
    assert len(files) > 6
    for name in files:
        assert (ROOT / name).exists(), name


def test_every_command_that_is_named_exists_and_so_does_every_key() -> None:
    commands = typer.main.get_command(app).commands
    for name in set(re.findall(r"`(?:\.venv/bin/)?gridbeacon ([a-z-]+)", DOC)):
        assert name in commands, name
    for section, key in set(re.findall(r"`(broker|clickhouse|topics|observability)\.(\w+)", DOC)):
        assert key in getattr(Config(), section).__struct_fields__, f"{section}.{key}"
    assert f"exit code {STAY_DOWN_CODE}" in DOC
    assert storable(DOC)


@pytest.mark.parametrize(
    "figure",
    ["67,273", "400,000 records", "3.3", "1,579", "3.8 KB", "1.6 GB"],
)
def test_the_sizing_stands_on_what_was_measured(figure: str) -> None:
    """When a benchmark gives another figure, work the table out again."""
    assert figure in FIGURES


def test_the_table_follows_from_the_figures() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \| [\d.]+ \| ([\d.]+) GB \| ([\d.]+) GB \|$", DOC, re.MULTILINE)
    assert len(rows) == 4
    for per_second, series, memory, disk in rows:
        rate, count = int(per_second.replace(",", "")), int(series.replace(",", ""))
        assert count / 60 == pytest.approx(rate, rel=0.03)
        assert float(disk) == pytest.approx(rate * 86_400 * 16e-9, rel=0.3)
        assert float(memory) == pytest.approx(1.58 + count * 3.8e-6, rel=0.1)
