"""Signed callbacks: a dispatcher's system acts. No token: the signature of its webhook says who it is."""

import time
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from gridbeacon.reasons import Disposition
from sinks.callbacks import CallbackRefused, Callbacks
from web.acts import Line, Note, StepAnswer
from web.deeds import answered
from web.door import wait
from web.parts import Parts
from web.problems import Problem
from web.reads import refused, said
from web.shapes import shaped
from web.tokens import Viewer

log = structlog.get_logger("callbacks")


class CallbackData(BaseModel):
    """What is to be done to which alert, by whom."""

    alert_id: str
    actor: Line
    version: int | None = None
    note: Note = ""
    assignee: Line = ""
    disposition: Disposition | None = None


class CallbackIn(BaseModel):
    """An action in the form of a notice: ``type`` is ``alert.`` and the action."""

    model_config = ConfigDict(extra="allow")
    type: str
    data: CallbackData


def _schema() -> dict[str, Any]:
    """Return the schema of the body with its parts in place: a reference in it would point nowhere in the document."""
    schema = CallbackIn.model_json_schema()
    parts = schema.pop("$defs", {})

    def put(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return put(parts[node["$ref"].rpartition("/")[2]])
            return {name: put(value) for name, value in node.items()}
        return [put(value) for value in node] if isinstance(node, list) else node

    return dict(put(schema))


#: The body is read as raw bytes, for these are what is signed; its form is told here.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}}


def router_of(parts: Parts) -> APIRouter:
    """Return the route that callbacks come in by."""
    door = Callbacks(parts.config.notify)
    router = APIRouter(tags=["act"])

    @router.post(
        "/callbacks/{endpoint}",
        response_model=StepAnswer,
        responses=refused(403, 404, 409, 503),
        openapi_extra=_BODY,
    )
    async def callback(request: Request, endpoint: Annotated[str, Path(max_length=100)]) -> Response:
        """Take an action that a configured webhook's system has signed (Standard Webhooks)."""
        address = request.client.host if request.client else ""
        try:
            action = door.take(endpoint, request.headers, await request.body(), time.time_ns() // 1_000_000)
        except CallbackRefused as error:
            wait(parts.strangers.wait_secs(f"callback:{address}"))
            log.warning("callback refused", endpoint=endpoint, reason=error.refusal, address=address)
            raise Problem(error.status, str(error), reason=error.refusal) from None
        try:
            event = await answered(parts, Viewer(action.actor, action.role, f"callback:{endpoint}"), action)
        except Problem as problem:
            if problem.status in (429, 503):  # not decided: it may come again
                door.forget(action)
            raise
        return said(shaped(event))

    return router
