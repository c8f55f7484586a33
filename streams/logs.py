"""Structured logs on standard error: one event a line, no record bodies, no secrets, no flood."""

import logging
import sys
import time
from typing import Any

import structlog

from gridbeacon.config import Observability

FLOOD_PER_SEC = 5
"""Lines a second that a client library may write per logger: aiokafka writes thousands while a broker is down."""
_SECRET_WORDS = ("password", "secret", "token", "authorization")


class NoFlood(logging.Filter):
    """Lets ``FLOOD_PER_SEC`` lines a second of each logger pass, and says how many it held back."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line may pass."""
        second = int(time.monotonic())
        at, count = self._windows.get(record.name, (second, 0))
        if at != second:
            if count > FLOOD_PER_SEC:
                record.msg = f"{record.getMessage()} ({count - FLOOD_PER_SEC} lines were held back)"
                record.args = ()
            at, count = second, 0
        self._windows[record.name] = (at, count + 1)
        return count < FLOOD_PER_SEC


def configure(settings: Observability, role: str) -> None:
    """Set up all logging of this process: ours and that of the libraries, in one format."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(NoFlood())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    for name in ("gridbeacon", "role", "ingest", "store", "notify", "supervise", "forecast"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
    structlog.contextvars.bind_contextvars(process=role)


def _redact(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    return {key: "***" if any(word in key.lower() for word in _SECRET_WORDS) else value for key, value in event.items()}
