"""A plain Faust agent on the benchmark's topic: one record a message, raw bytes and msgspec. Prints one JSON line.

plain_faust.py BOOTSTRAP TOPIC RECORDS PARTITIONS
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import faust
import msgspec

bootstrap, topic_name, records, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
app = faust.App(
    f"plain-{time.time_ns()}",
    broker=f"kafka://{bootstrap}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    topic_allow_declare=False,
    topic_partitions=partitions,
    consumer_auto_offset_reset="earliest",
    stream_wait_empty=False,
)
# acks=False is the fastest of Faust's modes: nothing is tracked, nothing committed.
topic = app.topic(
    topic_name, acks=False, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
)
decode = msgspec.json.Decoder().decode


def peak_mb() -> float:
    """Return the largest resident memory of this process in MB; ru_maxrss would begin with that of its parent."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@app.agent(topic)
async def take(stream: faust.StreamT) -> None:
    """Decode every record; print and leave after the last."""
    seen, first = 0, 0.0
    async for event in stream.noack().events():
        decode(event.message.value)
        seen += 1
        if seen == 1:
            first = time.monotonic()
        if seen == records:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            line = {
                "records": seen,
                "secs": time.monotonic() - first,
                "cpu_secs": usage.ru_utime + usage.ru_stime,
                "memory_mb": peak_mb(),
            }
            print(json.dumps(line), flush=True)
            os._exit(0)


if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
