"""Quix Streams on the benchmark's topic: decode only, or with a river detector per series. Prints one JSON line.

quix.py BOOTSTRAP TOPIC RECORDS decode|river
"""

import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

from quixstreams import Application
from river.anomaly import StandardAbsoluteDeviation

bootstrap, topic_name, records, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
logging.disable(logging.WARNING)
app = Application(
    broker_address=bootstrap,
    consumer_group=f"quix-{mode}-{time.time_ns()}",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    commit_interval=5.0,
)
topic = app.topic(topic_name, value_deserializer="json", key_deserializer="bytes")
models: dict[str, StandardAbsoluteDeviation] = {}
seen, first, last, anomalies = 0, 0.0, 0.0, 0


def peak_mb() -> float:
    """Return the largest resident memory of this process in MB; ru_maxrss would begin with that of its parent."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def take(value: dict[str, Any]) -> dict[str, Any]:
    """Count one record, and judge it when asked to."""
    global seen, first, last, anomalies
    if mode == "river":
        model = models.get(value["id"])
        if model is None:
            model = models[value["id"]] = StandardAbsoluteDeviation()
        count = value["peopleCount"]
        if model.score_one(None, count) > 8:
            anomalies += 1
        model.learn_one(None, count)
    seen += 1
    if seen == 1:
        first = time.monotonic()
    last = time.monotonic()
    return value


app.dataframe(topic).apply(take)
app.run(count=records, timeout=60)
usage = resource.getrusage(resource.RUSAGE_SELF)
print(
    json.dumps(
        {
            "records": seen,
            "secs": last - first,
            "cpu_secs": usage.ru_utime + usage.ru_stime,
            "memory_mb": peak_mb(),
        }
    )
)
