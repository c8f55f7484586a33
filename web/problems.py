"""What went wrong, for people and for programs: a sentence that says what to do, as RFC 9457 or as a page."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response


class Problem(Exception):
    """A request that can't be answered as it was meant. ``more`` is added to what programs get."""

    def __init__(self, status: int, text: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(text)
        self.status, self.text, self.more = status, text, more
        self.headers = headers or {}


def answer(status: int, text: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Return a problem as programs get it (``application/problem+json``)."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": text, **more}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def sentence(errors: Any) -> str:
    """Return one sentence for the mistakes that FastAPI found in a request.

    >>> sentence([{"loc": ("query", "limit"), "msg": "Input should be less than 1001"}])
    'query limit: Input should be less than 1001'
    """
    return "; ".join(f"{' '.join(str(part) for part in error['loc'])}: {error['msg']}" for error in list(errors)[:5])
