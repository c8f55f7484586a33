"""What passes between those who watch and those who fit: a request for some series, and its answer in parts."""

import msgspec
import numpy as np

from forecasts.fitted import Fitted
from gridbeacon.errors import Fatal
from gridbeacon.reasons import FitFailure

MARK = b"fit\x00"
"""Begins an answer, so that it is told from the frames with which it shares a log (those begin with four 0xff)."""
PART_BYTES = 600_000
"""A part is kept as one record of a state, which may not pass a megabyte."""


class FitRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fit these series from their history up to ``end_ms``.

    ``partition`` and ``offset`` are the position on the log ``scores`` at which it was asked: what is to be learned
    from stands before it. With ``audit`` nothing is fitted for use: stock Prophet's fit is compared with ours.
    """

    request_id: str
    partition: int
    offset: int
    asked_ms: int
    end_ms: int
    names: tuple[str, ...]
    cells: tuple[str, ...]
    audit: bool = False


class FitAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of ``parts`` parts of what became of a request: ``fitted`` series, or why there are none."""

    request_id: str
    part: int = 0
    parts: int = 1
    fitted: bytes = b""
    failure: FitFailure | None = None

    @staticmethod
    def of(request: FitRequest, fitted: Fitted) -> "list[FitAnswer]":
        """Return the parts of an answer, none larger than a state's record may be."""
        count = len(fitted.names)
        size = len(fitted.take(np.arange(min(count, 8))).to_bytes()) / max(min(count, 8), 1)
        step = max(1, int(PART_BYTES / max(size, 1.0)))
        parts = [fitted.take(np.arange(at, min(at + step, count))) for at in range(0, count, step)]
        return [
            FitAnswer(request_id=request.request_id, part=n, parts=len(parts), fitted=part.to_bytes())
            for n, part in enumerate(parts)
        ]


def encode_answer(answer: FitAnswer) -> bytes:
    """Return an answer as one message of the log ``scores``."""
    return MARK + msgspec.msgpack.encode(answer)


def is_answer(message: bytes) -> bool:
    """Return whether a message of the log ``scores`` is an answer, not a frame."""
    return message.startswith(MARK)


def decode_answer(message: bytes) -> FitAnswer:
    """Return the answer of a message. Raises ``Fatal`` when it is none."""
    try:
        return msgspec.msgpack.decode(message[len(MARK) :], type=FitAnswer)
    except msgspec.DecodeError as error:
        raise Fatal(f"unreadable answer on the scores topic: {error}") from error
