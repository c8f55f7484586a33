"""What the application is made of. The command line puts the parts together; tests put in others."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gridbeacon.config import Config
from gridbeacon.model import AlertEvent, Asked
from gridbeacon.registry import Registry
from web.city_map import CityMap, draw
from web.database import Database
from web.guard import Often
from web.hub import Hub
from web.tokens import Doorkeeper
from web.view import View


@dataclass
class Parts:
    """Everything that requests are answered from.

    ``health`` says how the engine does (as ``gridbeacon status``; it may block).
    """

    config: Config
    registry: Registry
    view: View
    hub: Hub
    database: Database
    door: Doorkeeper
    health: Callable[[], dict[str, Any]]
    submit: Callable[[Asked], Awaitable[AlertEvent]] | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    """What is found out for all viewers together, by name."""
    zone: ZoneInfo = field(init=False)
    plan: CityMap = field(init=False)
    often: Often = field(init=False)
    acts_often: Often = field(init=False)
    strangers: Often = field(init=False)

    def __post_init__(self) -> None:
        """Make what follows from the configuration."""
        self.plan = draw(self.registry)
        self.zone = ZoneInfo(self.config.timezone)
        self.often = Often(self.config.api.requests_per_min)
        self.acts_often = Often(self.config.api.actions_per_min)
        self.strangers = Often(20)

    def now_ms(self) -> int:
        """Return the time of the log, the clock's before the log has one."""
        return self.view.time_ms if self.view.time_ms is not None else int(time.time() * 1000)

    def place(self, cell: str) -> str:
        """Return what people call a cell: its name, or its code."""
        known = self.registry.cells.get(cell)
        return known.name if known is not None and known.name else cell


def doorkeeper(config: Config, folder: Path) -> Doorkeeper:
    """Return who keeps the door as configured. Raises ``ConfigError`` when the file of tokens is wrong."""
    api = config.api
    file = (folder / api.tokens_file) if api.tokens_file else None
    return Doorkeeper(file, api.session_hours * 3600)
