"""The configuration's section ``forecast``: how far ahead, from how much history."""

from typing import Annotated

from msgspec import Meta

from gridbeacon.config_section import Section


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
