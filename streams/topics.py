"""The topics, once: name, partitions, settings, who writes and who reads."""

from dataclasses import dataclass

from gridbeacon.config import Config

GRID_EVENTS = "grid.events"
TRAFFIC_COUNTS = "traffic.counts"
CROWD_METRICS = "crowd.metrics"
SOURCES = (GRID_EVENTS, TRAFFIC_COUNTS, CROWD_METRICS)
DEAD_LETTERS = "dead.letters"
OBSERVATIONS = "observations"
SCORES = "scores"
SIGNALS = "signals"
ALERTS = "alerts"
SITUATIONS = "situations"
DELIVERIES = "deliveries"
FORECASTS = "forecasts"
FORECAST_REQUESTS = "forecast.requests"
DETECT_STATE = "detect.state"
SITUATE_STATE = "situate.state"
NOTIFY_STATE = "notify.state"
FORECAST_STATE = "forecast.state"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must be: full name (with prefix), partitions, Kafka settings, and what it carries."""

    name: str
    partitions: int
    settings: dict[str, str]
    carries: str
    written_by: str
    read_by: str


def topics(config: Config) -> tuple[Topic, ...]:
    """Return every topic of a deployment, sources first."""
    t = config.topics
    keep = {"retention.ms": str(int(t.retention_hours * 3_600_000)), "max.message.bytes": "8388608"}
    compact = {
        "cleanup.policy": "compact",
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.1",
        "max.message.bytes": "8388608",
    }

    both = "forecast, store"

    def topic(name: str, partitions: int, settings: dict[str, str], carries: str, by: str, read_by: str) -> Topic:
        return Topic(t.prefix + name, partitions, settings, carries, by, read_by)

    return (
        topic(GRID_EVENTS, t.source_partitions, keep, "reports by grid cell", "producers", "ingest"),
        topic(TRAFFIC_COUNTS, t.source_partitions, keep, "traffic counts", "producers", "ingest"),
        topic(CROWD_METRICS, t.source_partitions, keep, "crowd metrics", "producers", "ingest"),
        topic(DEAD_LETTERS, t.source_partitions, keep, "rejected records, with the reason", "ingest, store", "store"),
        topic(
            OBSERVATIONS,
            t.observations_partitions,
            keep,
            "frames, by source; lessons of feedback",
            "ingest, situate",
            "detect",
        ),
        topic(SCORES, t.observations_partitions, keep, "frames with their verdicts; fits", "detect, forecast", both),
        topic(SIGNALS, t.signals_partitions, keep, "findings and time, by area", "detect, forecast", "situate"),
        topic(
            ALERTS,
            t.alerts_partitions,
            keep,
            "transitions and notices, by alert; what people ask of notify",
            "situate, commands",
            "notify, store, api",
        ),
        topic(
            SITUATIONS,
            t.alerts_partitions,
            keep,
            "situations; what the alarm budget said",
            "situate",
            "store",
        ),
        topic(DELIVERIES, t.alerts_partitions, keep, "delivery attempts", "notify", "store, api"),
        topic(FORECASTS, t.observations_partitions, keep, "forecasts, crossings, audits", "forecast", "store"),
        topic(
            FORECAST_REQUESTS, t.observations_partitions, keep, "series that are to be fitted", "forecast", "forecast"
        ),
        topic(DETECT_STATE, t.observations_partitions, compact, "checkpoints", "detect", "detect"),
        topic(SITUATE_STATE, t.signals_partitions, compact, "checkpoints", "situate", "situate"),
        topic(NOTIFY_STATE, t.alerts_partitions, compact, "checkpoints", "notify", "notify"),
        topic(FORECAST_STATE, t.observations_partitions, compact, "checkpoints", "forecast", "forecast"),
    )
