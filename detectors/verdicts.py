"""From what the layers found in rows to their verdicts: a limit goes before what is unusual, a doubt before both."""

from typing import Any

import numpy as np

from detectors import kernel
from detectors.episodes import Learned
from detectors.findings import limit_reason
from gridbeacon.frame import Judged, Rows
from gridbeacon.reasons import REASON_NUMBER, Reason, State

#: What a doubted row says, weakest last.
_DOUBTED = (
    (kernel.LOW_CONFIDENCE, State.WARMING_UP, Reason.LOW_CONFIDENCE),
    (kernel.LOW_COVERAGE, State.WARMING_UP, Reason.LOW_COVERAGE),
    (kernel.STUCK, State.ANOMALOUS, Reason.STUCK),
    (kernel.JUMP, State.ANOMALOUS, Reason.IMPOSSIBLE_JUMP),
    (kernel.LATE, State.WARMING_UP, Reason.LATE),
    (kernel.DUPLICATE, State.WARMING_UP, Reason.DUPLICATE),
)


def verdicts_of(rows: Rows, grid: tuple[str, ...], results: Any, learned: Learned) -> Judged:
    """Return what is said of each row: what the layers found, the gravest of it."""
    state, reason = learned.state, learned.reason
    never = kernel.IS_LEARNED[rows.metric] == 0
    state[never], reason[never] = State.NORMAL, REASON_NUMBER[Reason.WITHIN_BAND]
    direction, confidence = learned.direction, learned.confidence
    # Whatever breaks a limit says so, whatever is doubted says that instead.
    level = results["after"].max(axis=1)
    for i in np.flatnonzero(level).tolist():
        block = int(results["after"][i].argmax())
        state[i], reason[i] = State.ANOMALOUS, REASON_NUMBER[limit_reason(int(rows.metric[i]), block)]
        direction[i] = 1
        confidence[i] = 1.0 if np.isnan(rows.confidence[i]) else rows.confidence[i]
    for bit, said, word in _DOUBTED:
        off = (results["flags"] & bit) != 0
        state[off], reason[off] = said, REASON_NUMBER[word]
    return Judged(
        rows=rows,
        grid=grid,
        state=state,
        reason=reason,
        level=level,
        expected=learned.expected,
        lower=learned.lower,
        upper=learned.upper,
        alarm=learned.alarm,
        severity=learned.severity,
        signal=learned.signal,
        direction=direction,
        confidence=confidence,
        history=results["history"],
    )
