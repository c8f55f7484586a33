"""``docs/metrics.md`` lists every metric, and no other."""

import re
from pathlib import Path

from gridbeacon.config import Observability
from gridbeacon.metric_names import METRIC_NAMES

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_has_its_row_in_the_order_of_the_list() -> None:
    rows = [line for line in DOC.splitlines() if line.startswith("| `gridbeacon_")]
    assert rows == [
        f"| `gridbeacon_{metric.name}` | {metric.kind} | "
        f"{', '.join(f'`{label}`' for label in metric.labels) or 'none'} | {metric.meaning} |"
        for metric in METRIC_NAMES
    ]


def test_no_other_metric_is_named() -> None:
    named = set(re.findall(r"`gridbeacon_(\w+)`", DOC))
    assert named == {metric.name for metric in METRIC_NAMES}


def test_units_and_keys_that_are_named_exist() -> None:
    assert "metrics_port" in Observability.__struct_fields__
    for metric in METRIC_NAMES:
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert (metric.kind == "histogram") == bool(metric.buckets)
