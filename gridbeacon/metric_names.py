"""Every metric that Gridbeacon serves, once: name, kind, labels, unit and meaning. The docs list exactly these."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MetricName:
    """One metric as Prometheus sees it, with ``gridbeacon_`` in front of its name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FIT_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

METRIC_NAMES: tuple[MetricName, ...] = (
    MetricName("records_in_total", "counter", "source records read, by topic", ("topic",)),
    MetricName("observations_total", "counter", "observations (rows) written to frames"),
    MetricName("grid_events_total", "counter", "grid events accepted"),
    MetricName("rejected_total", "counter", "dead letters, by reason", ("reason",)),
    MetricName("ignored_fields_total", "counter", "unknown harmless fields of records"),
    MetricName("frames_total", "counter", "frames written"),
    MetricName("repeats_total", "counter", "items dropped because their position had been taken", ("role",)),
    MetricName("verdicts_total", "counter", "observations judged"),
    MetricName("signals_total", "counter", "findings passed on, by layer", ("layer",)),
    MetricName("alert_transitions_total", "counter", "transitions of alerts, by event", ("event",)),
    MetricName("notices_total", "counter", "notices decided"),
    MetricName("held_total", "counter", "transitions held back from dispatchers, by reason", ("reason",)),
    MetricName(
        "deliveries_total", "counter", "attempts to deliver a notice, by webhook and outcome", ("endpoint", "outcome")
    ),
    MetricName("stored_rows_total", "counter", "rows that ClickHouse acknowledged, by table", ("table",)),
    MetricName("store_retries_total", "counter", "inserts tried again because ClickHouse was away or slow"),
    MetricName("forecast_late_total", "counter", "observations that came after their slot was closed for forecasts"),
    MetricName("crossings_total", "counter", "crossings foreseen, changed and ended, by reason", ("reason",)),
    MetricName("fits_total", "counter", "refits of forecasts asked for, by outcome", ("outcome",)),
    MetricName("fit_seconds", "histogram", "time of one refit with its history read", (), _FIT_SECONDS),
    MetricName("checkpoint_seconds", "histogram", "time of one checkpoint of one partition", ("role",), _SECONDS),
    MetricName(
        "last_checkpoint_timestamp_seconds",
        "gauge",
        "when a role last made a checkpoint, seconds since 1970",
        ("role",),
    ),
    MetricName("restored_keys", "gauge", "state records restored at the last assignment", ("role",)),
    MetricName("lag_records", "gauge", "records of its log that a role has not applied", ("role",)),
)
