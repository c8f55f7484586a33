"""Commands with which people act on alerts: acknowledge to review, assign, feedback, comment."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gridbeacon.cli.common import ConfigOption, JsonOption, config_of, print_json
from gridbeacon.errors import Transient, UsageError
from gridbeacon.model import AlertEvent, Asked, plain
from gridbeacon.reasons import ActionKind, Disposition, Role

AlertArgument = Annotated[str, typer.Argument(help="As `alerts list` says it.")]
NoteOption = Annotated[str, typer.Option("--note", help="In words; everybody who looks at the alert reads it.")]
ToOption = Annotated[str, typer.Option("--to", help="Who has it from now on: a person, a team, a car.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Only if the alert is still as it was in this version.")
]
ActorOption = Annotated[str | None, typer.Option("--actor", help="Who acts.  [default: the user of this session]")]
AgainOption = Annotated[
    str | None, typer.Option("--action-id", help="The id of an action that got no answer: it is not done twice.")
]
WHO = Role.ADMIN
"""Whoever may write to the broker may do everything; tokens of the HTTP API are for those who may less."""


def register(alerts: typer.Typer) -> None:
    """Add the commands to the group ``alerts``."""
    for kind in (
        ActionKind.ACKNOWLEDGE,
        ActionKind.FILE_CASE,
        ActionKind.START,
        ActionKind.RESOLVE,
        ActionKind.VERIFY,
        ActionKind.CLOSE,
        ActionKind.REVIEW,
        ActionKind.REOPEN,
    ):
        alerts.command(kind.replace("_", "-"), help=_HELP[kind])(_plain(kind))
    alerts.command("assign")(assign)
    alerts.command("dispatch")(dispatch)
    alerts.command("feedback")(feedback)
    alerts.command("comment")(comment)


_HELP = {
    ActionKind.ACKNOWLEDGE: "Say that you have seen an alert and take it: nobody is called any further.",
    ActionKind.FILE_CASE: "Say that the case has a file.",
    ActionKind.START: "Say that those who were sent are there.",
    ActionKind.RESOLVE: "Say that the place is in order.",
    ActionKind.VERIFY: "Say that you have seen for yourself that it is.",
    ActionKind.CLOSE: "Close the case; while its condition is not over, say why with --note.",
    ActionKind.REVIEW: "Say that you have looked back at a closed case.",
    ActionKind.REOPEN: "Let a closed case go on, as a new alert that names the old one.",
}


def _plain(kind: ActionKind) -> Any:
    """Return the command of an action that takes nothing but a note."""

    def run(
        alert_id: AlertArgument,
        *,
        note: NoteOption = "",
        version: VersionOption = None,
        actor: ActorOption = None,
        action_id: AgainOption = None,
        json: JsonOption = False,
        config: ConfigOption = None,
    ) -> None:
        _act(kind, alert_id, config, json, action_id, actor=actor, note=note, version=version)

    return run


def assign(
    alert_id: AlertArgument,
    *,
    to: ToOption = "",
    note: NoteOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
    action_id: AgainOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give an alert to somebody."""
    _act(ActionKind.ASSIGN, alert_id, config, json, action_id, actor=actor, note=note, version=version, assignee=to)


def dispatch(
    alert_id: AlertArgument,
    *,
    to: ToOption = "",
    note: NoteOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
    action_id: AgainOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say that somebody is on the way."""
    _act(ActionKind.DISPATCH, alert_id, config, json, action_id, actor=actor, note=note, version=version, assignee=to)


def feedback(
    alert_id: AlertArgument,
    disposition: Annotated[Disposition, typer.Argument(help="What it was.", case_sensitive=False)],
    *,
    note: NoteOption = "",
    version: VersionOption = None,
    actor: ActorOption = None,
    action_id: AgainOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what an alert was, so that the engine learns from it. No feedback touches a safety limit."""
    _act(
        ActionKind.FEEDBACK,
        alert_id,
        config,
        json,
        action_id,
        actor=actor,
        note=note,
        version=version,
        disposition=disposition,
    )


def comment(
    alert_id: AlertArgument,
    text: Annotated[str, typer.Argument(help="What the next one should know.")],
    *,
    actor: ActorOption = None,
    action_id: AgainOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write something down about an alert."""
    _act(ActionKind.COMMENT, alert_id, config, json, action_id, actor=actor, note=text)


def name_of(actor: str | None) -> str:
    """Return who acts: as given, else the user of this session. Raises ``UsageError`` when there is no name."""
    try:
        name = (actor if actor is not None else getpass.getuser()).strip()
    except (KeyError, OSError):
        name = ""
    if not name:
        raise UsageError("who acts is not known; name them with --actor")
    return name


def answered(asked: Asked, config: Path | None, again: str) -> AlertEvent:
    """Return the answer of the engine. Raises ``UsageError`` when it refused, ``Transient`` when none came."""
    import asyncio

    from streams.access import check_access
    from streams.act import ask

    settings = config_of(config)
    check_access(settings)
    try:
        answer = asyncio.run(ask(settings, asked))
    except Transient as error:
        raise Transient(f"{error}; to hear the answer, ask again with {again}") from None
    if answer.refusal is not None:
        raise UsageError(f"refused ({answer.refusal}): {answer.note}")
    return answer


def _act(kind: ActionKind, alert_id: str, config: Path | None, json: bool, action_id: str | None, **more: Any) -> None:
    from streams.act import new_action

    asked = new_action(kind, alert_id, role=WHO, action_id=action_id, **more | {"actor": name_of(more["actor"])})
    answer = answered(asked, config, f"--action-id {asked.action_id}")
    if json:
        print_json(plain(answer))
        return
    to = f", to {answer.assignee}" if answer.assignee else ""
    sys.stdout.write(
        f"{answer.alert_id}: {answer.event} by {answer.actor}{to}; "
        f"it is {answer.handling_to}, version {answer.version}\n"
    )
