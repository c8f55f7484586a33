"""Everything that can be found wrong before anything is started."""

from pathlib import Path

from detectors.observer import Observer
from gridbeacon.calendar_file import load_calendar
from gridbeacon.config import Config
from gridbeacon.registry import Registry
from gridbeacon.registry_file import load_registry
from sinks.clickhouse import connect
from sinks.webhook import check_webhooks
from streams.kafka import client_settings
from web.parts import doorkeeper


def check_all(config: Config, folder: Path) -> Registry:
    """Return the registry; raises ``ConfigError`` for the first thing that is wrong. Connects to nothing."""
    registry = load_registry(config, folder)
    Observer(config, 0, load_calendar(config, folder))
    check_webhooks(config.notify)
    client_settings(config)
    connect(config)
    doorkeeper(config, folder)
    return registry
