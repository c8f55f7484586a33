"""The configuration's section ``forecast``: how far ahead, from how much history."""

from typing import Annotated, Literal

from msgspec import Meta

from gridbeacon.config_section import Section
from gridbeacon.vocabulary import Kind


class ForecasterOf(Section, frozen=True):
    """Another forecaster for one metric of one kind of source."""

    kind: Kind
    metric: str
    forecaster: Literal["prophet_batch", "prophet"]


class Forecast(Section, frozen=True):
    """What will be: the forecasters."""

    step_minutes: Annotated[int, Meta(ge=1, le=60)] = 15
    """The length of a slot: observations of a series are averaged over it. It must divide the day."""
    history_days: Annotated[int, Meta(ge=1, le=400)] = 42
    """Days that a refit learns from."""
    horizon_hours: Annotated[int, Meta(ge=1, le=168)] = 24
    """How far ahead is forecast."""
    leads_minutes: tuple[int, ...] = (15, 30, 60, 120, 240, 720, 1440)
    """Leads that are corrected by the latest observations, with bands of their own; ascending, up to the horizon."""
    enabled: bool = True
    """Whether the role ``forecast`` is part of this deployment; in a replay situate waits for what it says."""
    series: tuple[ForecasterOf, ...] = ()
    """Metrics that stock Prophet forecasts, one by one: much slower, for what the batch solver does not cover."""
    warn_hours: Annotated[float, Meta(gt=0, le=168)] = 6.0
    """Crossings are looked for this far ahead."""
    refit_at: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "03:00"
    """Civil time at which every series is fitted anew, each day."""
    retry_minutes: Annotated[float, Meta(gt=0)] = 30.0
    """A refit that failed is asked for again after this."""
    fit_series: Annotated[int, Meta(ge=1)] = 2500
    """Series that one process fits at once; the requests of a city are shared by all workers of the role."""
    fit_limit_secs: Annotated[float, Meta(gt=0)] = 600.0
    """A fit that takes longer is ended, and the last forecast stays."""
    grace_secs: Annotated[float, Meta(ge=0)] = 60.0
    """A slot is taken as complete this long after its end."""
    stored_minutes: Annotated[int, Meta(ge=1, le=1440)] = 60
    """So often the forecast of every series is stored, at each of ``leads_minutes``; a refit stores its whole curve."""
    audit_series: Annotated[int, Meta(ge=0, le=10_000)] = 20
    """So many random series are fitted by stock Prophet each night, and the differences stored."""
    checkpoint_secs: Annotated[float, Meta(gt=0)] = 5.0
