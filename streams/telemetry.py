"""Prometheus metrics, built from ``gridbeacon.metric_names`` and nothing else."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from gridbeacon.errors import ConfigError
from gridbeacon.metric_names import METRIC_NAMES, MetricName

_BY_NAME = {metric.name: metric for metric in METRIC_NAMES}


@cache
def counter(name: str) -> Counter:
    """Return the counter of a listed name. Raises ``KeyError`` on a name or kind that is not listed."""
    metric = _listed(name, "counter")
    return Counter(f"gridbeacon_{name}", metric.meaning, metric.labels)


@cache
def gauge(name: str) -> Gauge:
    """Return the gauge of a listed name. Raises ``KeyError`` on a name or kind that is not listed."""
    metric = _listed(name, "gauge")
    return Gauge(f"gridbeacon_{name}", metric.meaning, metric.labels)


@cache
def histogram(name: str) -> Histogram:
    """Return the histogram of a listed name. Raises ``KeyError`` on a name or kind that is not listed."""
    metric = _listed(name, "histogram")
    return Histogram(f"gridbeacon_{name}", metric.meaning, metric.labels, buckets=metric.buckets)


def serve(port: int, listen: str) -> None:
    """Serve all metrics at ``listen``:``port``. Raises ``ConfigError`` when the port is taken."""
    try:
        start_http_server(port, addr=listen)
    except OSError as error:
        raise ConfigError(
            f"the metrics port {port} can't be used ({error.strerror}): set observability.metrics_port"
        ) from error


def _listed(name: str, kind: str) -> MetricName:
    metric = _BY_NAME[name]
    if metric.kind != kind:
        raise KeyError(f"{name} is a {metric.kind}, not a {kind}")
    return metric
