"""The application: routes, what goes wrong, and the door in front of all."""

from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from gridbeacon import __version__
from web import acts, callbacks, login, news, pages, problems, reads, review, schemas
from web.guard import Guard
from web.parts import Parts
from web.problems import Problem
from web.scene import LoginNeeded, stranger

DESCRIPTION = (
    "Alerts as they stand, what is behind them, and what people do about them. Send a token as "
    "`Authorization: Bearer`; on loopback none is needed unless one is configured."
)


class _Static(StaticFiles):
    """Files of the board; a browser keeps them, and asks whether they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return one file."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "no-cache"
        return answer


def create_app(parts: Parts) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Gridbeacon",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        middleware=[
            Middleware(Guard, settings=parts.config.api),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
    )
    app.state.parts = parts
    app.include_router(reads.router)
    app.include_router(acts.router)
    app.include_router(callbacks.router_of(parts))
    for part in (pages, news, review, login):
        app.include_router(part.router)
    app.mount("/static", _Static(packages=[("web", "static")]), name="static")
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(LoginNeeded, _login)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)

    @app.get("/health", response_model=schemas.HealthOut, tags=["read"], responses={503: {"model": schemas.HealthOut}})
    async def health() -> Response:
        """Say whether this server has read the log up to now; needs no token."""
        ready = parts.hub.caught_up and parts.hub.problem is None
        said = {"ready": ready, "detail": parts.hub.problem or "ready"}
        return Response(msgspec.json.encode(said), 200 if ready else 503, media_type="application/json")

    _secured(app)
    return app


def _secured(app: FastAPI) -> None:
    """Say in the OpenAPI document how to come in, and what every refusal looks like."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}, {}]
            for path in document["paths"].values():
                for operation in path.values():
                    for status, said in operation["responses"].items():
                        if status[0] in "45" and "application/json" in said.get("content", {}):
                            content = said["content"]
                            content["application/problem+json"] = content.pop("application/json")
        assert app.openapi_schema is not None  # noqa: S101 - made() has kept it
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - as registered
    return _answer(request, error.status, error.text, error.headers, **error.more)


async def _login(_: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeeded)  # noqa: S101 - as registered
    why = "" if "is needed" in str(error) else "&why=ended"
    return RedirectResponse(f"/login?back={quote(error.back)}{why}", 303)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    where = "go to the board" if _is_page(request) else "see /api/openapi.json"
    words = {404: f"there is nothing here; {where}", 405: "this can't be done here; see the header Allow"}
    text = words.get(error.status_code, str(error.detail))
    return _answer(request, error.status_code, text, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered
    return _answer(request, 422, problems.sentence(error.errors()))


async def _unexpected(request: Request, _: Exception) -> Response:
    # The server's log has the stack; who asks gets no word of it.
    return _answer(request, 500, "something went wrong here; it is in the log of the role api")


def _answer(request: Request, status: int, text: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Return a problem for who asked: a page for people, else data."""
    if not _is_page(request):
        return problems.answer(status, text, headers, **more)
    page = stranger(request).render("problem.html", status, page="problem", text=text)
    page.headers.update(headers or {})
    return page


def _is_page(request: Request) -> bool:
    path = request.url.path
    return not path.startswith(("/api/", "/health", "/static/", "/callbacks/", "/stream"))
