"""One role in this process."""

import asyncio
from pathlib import Path

from gridbeacon.config import Config
from gridbeacon.registry_file import load_registry
from streams import detect, ingest, logs, notify, situate, store, telemetry
from streams.access import check_access

#: Offset of each role's port for metrics.
NUMBER = {"ingest": 0, "detect": 1, "situate": 2, "notify": 3, "store": 4}


def run_role(role: str, config: Config, folder: Path, instance: str | None) -> None:
    """Run a role until SIGTERM or SIGINT; file names of the registry are relative to ``folder``."""
    logs.configure(config.observability, role)
    if config.observability.metrics_port:
        telemetry.serve(config.observability.metrics_port + NUMBER[role])
    check_access(config)
    if role == "ingest":
        asyncio.run(ingest.run(config, load_registry(config, folder), instance))
    elif role == "store":
        asyncio.run(store.run(config, instance))
    else:
        {"detect": detect, "situate": situate, "notify": notify}[role].run(config, instance)
