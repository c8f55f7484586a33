"""What follows from one message of forecast's log: findings, requests, and what is to be stored."""

from dataclasses import dataclass, field

from forecasts.requests import FitRequest
from gridbeacon.crossings import Told
from gridbeacon.frame import F4, I8, U1
from gridbeacon.model import Signal, Tick


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRows:
    """Forecasts as columns of equal length, all made at ``made_ms`` and valid until ``valid_until_ms``.

    ``series`` indexes ``names`` and ``cells``; ``model`` indexes ``forecasts.fitted.MODELS``; ``target_ms`` is when the
    slot that is forecast begins.
    """

    made_ms: int
    valid_until_ms: int
    names: tuple[str, ...]
    cells: tuple[str, ...]
    series: I8
    target_ms: I8
    model: U1
    point: F4
    lower80: F4
    upper80: F4
    lower95: F4
    upper95: F4


@dataclass(slots=True)
class Outlook:
    """What one message meant. ``repeats`` and ``late`` count what was left out."""

    signals: list[Signal] = field(default_factory=list)
    tick: Tick | None = None
    requests: list[FitRequest] = field(default_factory=list)
    rows: list[ForecastRows] = field(default_factory=list)
    crossings: list[Told] = field(default_factory=list)
    repeats: int = 0
    late: int = 0
