"""Who asks, for every request: a token, a browser's session, or whoever is at this machine."""

import math
from typing import cast

from fastapi import Request

from gridbeacon.reasons import Role
from web.parts import Parts
from web.problems import Problem
from web.tokens import LOCAL, Refusal, Viewer

COOKIE = "gridbeacon_session"
_BEARER = {"www-authenticate": "Bearer"}


def parts_of(request: Request) -> Parts:
    """Return the parts that the application is made of."""
    return cast(Parts, request.app.state.parts)


def come_in(request: Request) -> Viewer:
    """Return who asks. Raises ``Problem`` (401, 429) with what to do."""
    house = parts_of(request)
    try:
        viewer = viewer_of(request)
    except Refusal as error:
        address = request.client.host if request.client else ""
        wait(house.strangers.wait_secs(address))
        raise Problem(401, str(error), headers=_BEARER) from error
    if viewer.name != LOCAL:
        wait(house.often.wait_secs(viewer.client))
    return viewer


def viewer_of(request: Request) -> Viewer:
    """Return who asks. Raises ``Refusal``."""
    door = parts_of(request).door
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if not door.asks:
        return Viewer(LOCAL, Role.ADMIN, LOCAL)
    if kind.lower() == "bearer" and token:
        return door.of_token(token.strip())
    cookie = request.cookies.get(COOKIE)
    if cookie:
        return door.of_session(cookie)
    raise Refusal("a token is needed: send it as 'Authorization: Bearer TOKEN', or log in at /login")


def wait(secs: float) -> None:
    """Raise ``Problem`` (429) when somebody must wait."""
    if secs > 0:
        after = str(math.ceil(secs))
        raise Problem(429, f"this is too often; come back in {after} s", headers={"retry-after": after})
