"""The writing half of the HTTP API: actions on alerts, silences."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gridbeacon.reasons import ActionKind, Disposition, Level
from web import deeds, schemas
from web.reads import REFUSED, AlertId, House, Me, refused, said
from web.shapes import shaped

router = APIRouter(prefix="/api", tags=["act"], responses={**refused(503), 403: REFUSED[403]})

_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
Note = Annotated[str, Field(max_length=2000, pattern=_PLAIN)]
Line = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
OwnId = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._-]*$")]


class ActionIn(BaseModel):
    """What is to be done; ``version`` is that of the alert that you saw, ``action_id`` makes a repeat harmless."""

    model_config = ConfigDict(extra="forbid")
    action: ActionKind
    version: Annotated[int | None, Field(ge=0, le=2**31)] = None
    note: Note = ""
    assignee: Line = ""
    disposition: Disposition | None = None
    action_id: OwnId = ""


class SilenceIn(BaseModel):
    """Tell nobody of new alerts in cells whose code begins so, up to a level, until an end."""

    model_config = ConfigDict(extra="forbid")
    reason: Note
    begin: Annotated[AwareDatetime | None, Field(description="now, unless given")] = None
    end: AwareDatetime
    cells: Line = ""
    rule: Line = ""
    up_to: Literal["blue", "yellow", "orange", "red"] = "orange"
    silence_id: OwnId = ""


class StepAnswer(schemas.StepOut):
    """What came of an action: the transition, with the alert's new ``version``."""

    alert_id: str
    handling_to: str


class SilenceOut(BaseModel):
    """One silence."""

    model_config = ConfigDict(extra="allow")
    silence_id: str
    owner: str
    reason: str
    starts_at: datetime
    ends_at: datetime
    cells: str
    up_to: schemas.LevelWord


class SilencesOut(BaseModel):
    """Silences that are not over."""

    silences: list[SilenceOut]


@router.post(
    "/alerts/{alert_id}/actions",
    response_model=StepAnswer,
    responses={404: REFUSED[404], 409: REFUSED[409]},
)
async def act(viewer: Me, house: House, alert_id: AlertId, asked: ActionIn) -> Response:
    """Do something about an alert. The answer is the transition that it made, or says why it made none."""
    event = await deeds.act(
        house,
        viewer,
        alert_id,
        asked.action,
        version=asked.version,
        note=asked.note,
        assignee=asked.assignee,
        disposition=asked.disposition,
        action_id=asked.action_id,
    )
    return said(shaped(event))


@router.get("/silences", response_model=SilencesOut)
async def silences(_: Me, house: House) -> Response:
    """List the silences that are not over."""
    now_ms = house.now_ms()
    return said({"silences": [shaped(one) for one in house.view.silences.values() if one.ends_ms > now_ms]})


@router.post("/silences", response_model=StepAnswer, status_code=201)
async def silence(viewer: Me, house: House, asked: SilenceIn) -> Response:
    """Begin a silence. Its id is the answer's ``action_id``."""
    silence_id, event = await deeds.silence(
        house,
        viewer,
        reason=asked.reason,
        begin=asked.begin,
        end=asked.end,
        cells=asked.cells,
        rule=asked.rule,
        up_to=Level[asked.up_to.upper()],
        silence_id=asked.silence_id,
    )
    return said({**shaped(event), "action_id": silence_id}, 201)


@router.delete("/silences/{silence_id}", response_model=StepAnswer, responses={404: REFUSED[404]})
async def unsilence(
    viewer: Me,
    house: House,
    silence_id: Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")],
) -> Response:
    """End a silence before its time."""
    return said(shaped(await deeds.unsilence(house, viewer, silence_id, "")))
