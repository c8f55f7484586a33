"""One role in this process; a role's modules are imported when it runs, so that none pays for what another needs."""

import asyncio
import gc
from pathlib import Path

from gridbeacon.calendar_file import load_calendar
from gridbeacon.config import Config
from gridbeacon.priority import stand_back
from gridbeacon.registry_file import load_registry
from streams import logs, telemetry
from streams.access import check_access

#: Offset of each role's port for metrics.
NUMBER = {"ingest": 0, "detect": 1, "situate": 2, "notify": 3, "store": 4, "forecast": 5, "api": 6}
#: Records and states come and go by the hundred thousand and hold no cycles: Python's own habit of looking for such
#: after every 700 new objects costs a tenth of the time.
GC_THRESHOLDS = (100_000, 20, 50)
#: Roles that no notice waits for: merges and fits take all that there is, for seconds.
STAND_BACK = ("store", "forecast")


def run_role(role: str, config: Config, folder: Path, instance: str | None) -> None:
    """Run a role until SIGTERM or SIGINT; file names of the registry are relative to ``folder``."""
    logs.configure(config.observability, role)
    gc.set_threshold(*GC_THRESHOLDS)
    if role in STAND_BACK:
        stand_back()
    if config.observability.metrics_port:
        telemetry.serve(config.observability.metrics_port + NUMBER[role], config.observability.metrics_listen)
    if role == "api":  # it serves what it knows, whoever is away
        asyncio.run(_api(config, folder))
        return
    check_access(config)
    match role:
        case "ingest":
            from streams import ingest

            asyncio.run(ingest.run(config, load_registry(config, folder), instance))
        case "detect":
            from streams import detect

            detect.run(config, instance, load_calendar(config, folder))
        case "situate":
            from streams import situate

            situate.run(config, instance)
        case "notify":
            from streams import notify

            notify.run(config, instance)
        case "store":
            from streams import store

            asyncio.run(store.run(config, instance))
        case "forecast":
            from streams import forecast

            forecast.run(config, instance, load_calendar(config, folder))


async def _api(config: Config, folder: Path) -> None:
    """Run the role api, which gets what it needs of Kafka from here: it may not import the shells of the stream."""
    from gridbeacon.cli.health import health
    from streams import ready
    from streams.desk import StandingDesk
    from streams.follow import follow
    from web.serve import run

    desk = StandingDesk(config)
    try:
        await run(
            config,
            load_registry(config, folder),
            folder,
            follow=lambda took, said: follow(config, took, said),
            health=lambda: health(config),
            ready=ready.tell,
            submit=desk.act,
        )
    finally:
        await desk.close()
