"""``docs/dashboards.md`` lists every panel in its own words; what it says of files, names and times is so."""

from pathlib import Path

import yaml

from dashboards.build import DASHBOARDS, GOLDEN, markdown
from dashboards.query import CLICKHOUSE, PLUGIN, PROMETHEUS
from gridbeacon.config import Config
from gridbeacon.levels import said
from gridbeacon.reasons import Level

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
REFRESHES = {"1m": "every minute", "10s": "every 10 seconds", "30s": "every 30 seconds", "": "when you ask"}


def test_every_panel_is_listed_and_no_other() -> None:
    """When panels have changed, run ``scripts/dashboards``."""
    assert DOC.partition("## Every panel\n\n")[2] == markdown(Config())


def test_every_dashboard_has_its_row_with_its_refresh() -> None:
    for title, (_, _, _, refresh) in DASHBOARDS.items():
        (row,) = [line for line in DOC.splitlines() if line.startswith(f"| {title} | ") and line.count("|") == 4]
        assert row.endswith(f"| {REFRESHES[refresh]} |")


def test_levels_and_data_sources_are_named_as_they_are() -> None:
    assert all(said(level) in DOC for level in Level)
    assert all(f"`{name}`" in DOC for name in (PLUGIN, CLICKHOUSE.uid, PROMETHEUS.uid))


def test_the_provisioning_files_are_about_the_same_things() -> None:
    folder = GOLDEN.parent / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "gridbeacon.yaml").read_text())["datasources"]
    assert [(one["uid"], one["type"]) for one in sources] == [
        (CLICKHOUSE.uid, CLICKHOUSE.type_val),
        (PROMETHEUS.uid, PROMETHEUS.type_val),
    ]
    (provider,) = yaml.safe_load((folder / "dashboards" / "gridbeacon.yaml").read_text())["providers"]
    assert provider["options"]["path"] in DOC
    assert provider["allowUiUpdates"] is False
