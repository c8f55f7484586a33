"""What people do in a story, and whom a notice is for. Lines:

    22:30 li: acknowledge EXIT                   on the latest alert of a cell; then, in this order, each if wanted:
                                                 ``version 1``, ``to team-3``, ``as NOT_ANOMALY``, ``twice``,
                                                 ``because words``
    22:00 li: silence 310101 until 23:00 because a drill      ``up to red`` may follow the cells
    22:30 li: unsilence                          ends the silence that was begun last

In ``told`` a refusal reads ``refused illegal_step``, what is about no alert stands without a cell, and with routes a
notice says whom it is for: ``notice to dispatch, chief``.
"""

from typing import NamedTuple

from gridbeacon.assessor import Assessor
from gridbeacon.model import Action, Asked, Silence, Transition, Unsilence
from gridbeacon.reasons import ActionKind, Disposition, Level, Role

KINDS = "|".join(ActionKind)
ACT = rf"(\S+): ({KINDS}) (\S+?)(?: version (\d+))?(?: to (\S+))?(?: as ([A-Z_]+))?(?: (twice))?(?: because (.+))?"
SILENCE = r"(\S+): silence (\d+)(?: up to (\w+))? until (\d{1,2}:\d{2})(?: because (.+))?"
UNSILENCE = r"(\S+): unsilence"


class Deed(NamedTuple):
    """One thing that a person does: when, on the alert of which cell ("" for none), and what with which words."""

    at_ms: int
    actor: str
    cell: str
    what: str
    version: int | None = None
    to: str = ""
    disposition: str | None = None
    times: int = 1
    note: str = ""
    until_ms: int = 0
    up_to: str = "orange"


def asked(deed: Deed, number: int, alert_id: str) -> Asked:
    """Return a deed as a record; ``number`` makes its id."""
    if deed.what == "silence":
        return Silence(
            silence_id=f"silence-{deed.actor}",
            owner=deed.actor,
            reason=deed.note,
            starts_ms=deed.at_ms,
            ends_ms=deed.until_ms,
            sent_ms=deed.at_ms,
            role=Role.OFFICER,
            cells=deed.cell,
            up_to=Level[deed.up_to.upper()],
        )
    if deed.what == "unsilence":
        return Unsilence(
            action_id=f"act-{number}",
            silence_id=f"silence-{deed.actor}",
            actor=deed.actor,
            role=Role.OFFICER,
            sent_ms=deed.at_ms,
        )
    return Action(
        action_id=f"act-{number}",
        alert_id=alert_id,
        kind=ActionKind(deed.what),
        actor=deed.actor,
        role=Role.OFFICER,
        sent_ms=deed.at_ms,
        version=deed.version,
        note=deed.note,
        assignee=deed.to,
        disposition=None if deed.disposition is None else Disposition(deed.disposition),
    )


def act(assessor: Assessor, deed: Deed, number: int, offset: int, so_far: list[Transition]) -> list[Transition]:
    """Do a deed, as often as it says, on the alert that opened last in its cell; return what follows."""
    opened = [
        t.alert for t in so_far if t.alert is not None and t.alert.cell == deed.cell and t.event.event == "opened"
    ]
    record = asked(deed, number, opened[-1].alert_id if opened else f"{deed.cell[:6]}-0")
    return [t for again in range(deed.times) for t in assessor.act(record, offset + again)]


def ending(transition: Transition) -> str:
    """Return how a line of ``told`` ends."""
    if transition.event.refusal is not None:
        return f"refused {transition.event.refusal}"
    notice = transition.notice
    if notice is None:
        return f"held {transition.event.held}" if transition.event.held else "said"
    if notice.endpoints or notice.receivers:
        return f"notice to {', '.join(notice.receivers or notice.endpoints or ())}"
    return "notice"
