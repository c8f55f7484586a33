"""Signed callbacks: a dispatcher's system acts on an alert; verified by ``sinks.callbacks``."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from sinks.callbacks import CallbackRefused
from web import deeds
from web.acts import StepAnswer
from web.door import wait
from web.problems import Problem
from web.reads import REFUSED, House, said
from web.shapes import shaped

router = APIRouter(
    tags=["act"], responses={status: REFUSED[status] for status in (401, 403, 404, 409, 413, 421, 422, 429, 503)}
)


@router.post("/callbacks/{endpoint}", response_model=StepAnswer)
async def callback(
    request: Request,
    house: House,
    endpoint: Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/]+$")],
) -> Response:
    """Take what a webhook's system asks for: signed with that webhook's secret, without a token."""
    body = await request.body()
    try:
        action = house.callbacks.take(endpoint, request.headers, body, int(time.time() * 1000))
    except CallbackRefused as error:
        wait(house.strangers.wait_secs(f"callback:{request.client.host if request.client else ''}"))
        raise Problem(error.status, str(error), reason=error.refusal) from error
    try:
        event = await deeds.answered(house, f"callback:{endpoint}", action)
    except Problem as error:
        if error.status in (429, 503):
            house.callbacks.forget(action)  # it did not happen: it may come again
        raise
    return said(shaped(event))
