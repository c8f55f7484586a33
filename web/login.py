"""Log-in and log-out of browsers: a token for a cookie that no script can read and no other site can send."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from web.door import COOKIE, wait
from web.scene import Scene, check_form, stranger
from web.tokens import Refusal

router = APIRouter(include_in_schema=False)
Look = Annotated[Scene, Depends(stranger)]


@router.get("/login")
async def login_page(
    scene: Look, back: Annotated[str, Query(max_length=2000)] = "/", why: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """Ask for a token."""
    # Only what the server itself says is repeated: an address could say anything.
    known = "your session has ended, or your token is no longer known; log in again" if why else ""
    return scene.render("login.html", page="login", back=_inside(back), why=known)


@router.post("/login")
async def login(
    request: Request,
    scene: Look,
    key: Annotated[str, Form(max_length=200)] = "",
    token: Annotated[str, Form(max_length=512)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Take a token and give a session."""
    house = scene.house
    check_form(request, house, key)
    wait(house.strangers.wait_secs(request.client.host if request.client else ""))
    try:
        cookie = house.door.session_of(token.strip())
    except Refusal as error:
        return scene.render("login.html", 401, page="login", back=_inside(back), why=str(error))
    answer = RedirectResponse(_inside(back), 303)
    secure = request.url.scheme == "https"
    hours = house.config.api.session_hours
    answer.set_cookie(COOKIE, cookie, max_age=int(hours * 3600), httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout")
async def logout(request: Request, scene: Look, key: Annotated[str, Form(max_length=200)] = "") -> Response:
    """End a session in this browser."""
    check_form(request, scene.house, key)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _inside(back: str) -> str:
    """Return where to go on, on this server alone.

    >>> _inside("/alerts/a?x=1"), _inside("//evil.example"), _inside("https://evil.example")
    ('/alerts/a?x=1', '/', '/')
    """
    plain = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable() and "\\" not in back
    return back if plain else "/"
