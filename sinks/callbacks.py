"""Signed callbacks: a dispatcher's system answers a notice with an action. Verified here, decided in role situate.

A request carries the same headers and the same secret as the notices that we send to that endpoint. What is forged,
old, or comes again changes nothing; whatever passes is an ``Action`` like any other.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

import msgspec

from gridbeacon.config_notify import Notify, Webhook
from gridbeacon.errors import GridbeaconError
from gridbeacon.model import Action
from gridbeacon.reasons import ActionKind, ActionSource, CallbackRefusal, Disposition, Role
from sinks.signing import TOLERANCE_SECS, Unverified, verify

BODY_MAX_BYTES = 65_536
"""An action is a few hundred bytes."""
NOTE_MAX_CHARS = 2000
NAME_MAX_CHARS = 100
ID_MAX_CHARS = 200
SEEN_MAX = 50_000
"""Ids remembered at once: more than a signature's life sees, and a bound on memory when somebody floods us."""

#: HTTP status of each refusal. 4xx but 408, 425 and 429: sent again as it is, it is refused again.
STATUS: dict[CallbackRefusal, int] = {
    CallbackRefusal.UNKNOWN_ENDPOINT: 404,
    CallbackRefusal.NOT_PERMITTED: 403,
    CallbackRefusal.TOO_LARGE: 413,
    CallbackRefusal.UNVERIFIED: 401,
    CallbackRefusal.REPLAYED: 409,
    CallbackRefusal.BAD_BODY: 422,
}


class CallbackRefused(GridbeaconError):
    """A callback that changes nothing: answer ``status`` and the text, which says what to do."""

    def __init__(self, refusal: CallbackRefusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal
        self.status = STATUS[refusal]


class _Data(msgspec.Struct, frozen=True):
    alert_id: str
    actor: str
    version: int | None = None
    note: str = ""
    assignee: str = ""
    disposition: Disposition | None = None


class _Body(msgspec.Struct, frozen=True):
    type: str
    data: _Data


_body = msgspec.json.Decoder(_Body)


class Callbacks:
    """Turns requests into actions; remembers the ids of those that it has let through for as long as they are valid.

    That memory is this process's own. What another process let through is the same ``Action`` with the same
    ``action_id``, which role situate does once. Clock-free: the time is passed in, and must not go back.
    """

    def __init__(self, notify: Notify) -> None:
        self._webhooks = {webhook.name: webhook for webhook in notify.webhooks}
        self._seen: OrderedDict[str, float] = OrderedDict()

    def take(self, endpoint: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Action:
        """Return what a callback at ``/callbacks/{endpoint}`` asks for.

        ``body`` is the raw bytes. Raises ``CallbackRefused``. Call ``forget`` when the action could not be written, so
        that it can be sent again.
        """
        webhook = self._webhooks.get(endpoint)
        if webhook is None:
            raise CallbackRefused(CallbackRefusal.UNKNOWN_ENDPOINT, "no webhook of this name is configured")
        if webhook.callbacks == "none" or not webhook.secrets:
            raise CallbackRefused(
                CallbackRefusal.NOT_PERMITTED,
                "this webhook may not act; set 'callbacks: dispatcher' and secrets for it",
            )
        if len(body) > BODY_MAX_BYTES:
            raise CallbackRefused(CallbackRefusal.TOO_LARGE, f"at most {BODY_MAX_BYTES} bytes are read")
        try:
            webhook_id = verify(webhook.secrets, headers, body, now_ms / 1000)
        except Unverified as error:
            raise CallbackRefused(CallbackRefusal.UNVERIFIED, str(error)) from None
        action = action_of(webhook, webhook_id, body, now_ms)
        now_secs = now_ms / 1000
        while self._seen and (len(self._seen) > SEEN_MAX or next(iter(self._seen.values())) < now_secs):
            self._seen.popitem(last=False)
        if action.action_id in self._seen:
            raise CallbackRefused(
                CallbackRefusal.REPLAYED,
                f"webhook-id {webhook_id!r} was taken already; nothing was changed by this one",
            )
        # A signature is good from TOLERANCE_SECS before its time until as long after it.
        self._seen[action.action_id] = now_secs + 2 * TOLERANCE_SECS
        return action

    def forget(self, action: Action) -> None:
        """Let an action that could not be written come again."""
        self._seen.pop(action.action_id, None)


def action_of(webhook: Webhook, webhook_id: str, body: bytes, now_ms: int) -> Action:
    """Return the action that a verified body asks for; its id follows from the endpoint and the ``webhook-id``.

    Raises ``CallbackRefused`` that names the field and what it takes.
    """
    try:
        said = _body.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallbackRefused(CallbackRefusal.BAD_BODY, f"the body is not an action: {error}") from None
    kinds = {f"alert.{kind}": kind for kind in ActionKind}
    data = said.data
    wrong = None
    if said.type not in kinds:
        wrong = f"type {said.type[:NAME_MAX_CHARS]!r} is no action; it is one of {', '.join(kinds)}"
    elif not data.alert_id or len(data.alert_id) > ID_MAX_CHARS or len(webhook_id) > ID_MAX_CHARS:
        wrong = f"data.alert_id and webhook-id have 1 to {ID_MAX_CHARS} characters"
    elif not _is_line(data.actor) or not data.actor:
        wrong = f"data.actor must say who acts, in 1 to {NAME_MAX_CHARS} printable characters"
    elif not _is_line(data.assignee):
        wrong = f"data.assignee has at most {NAME_MAX_CHARS} printable characters"
    elif len(data.note) > NOTE_MAX_CHARS or "\0" in data.note:
        wrong = f"data.note has at most {NOTE_MAX_CHARS} characters"
    elif data.version is not None and not 0 <= data.version < 2**31:
        wrong = "data.version is the version of the alert as a notice said it"
    if wrong is not None:
        raise CallbackRefused(CallbackRefusal.BAD_BODY, wrong)
    return Action(
        action_id=action_id_of(webhook.name, webhook_id),
        alert_id=data.alert_id,
        kind=kinds[said.type],
        actor=f"{webhook.name}:{data.actor}",
        role=Role(webhook.callbacks),
        sent_ms=now_ms,
        version=data.version,
        note=data.note,
        assignee=data.assignee,
        disposition=data.disposition,
        source=ActionSource.WEBHOOK,
    )


def action_id_of(endpoint: str, webhook_id: str) -> str:
    """Return the id of the action of a callback, equal on every repeat.

    >>> action_id_of("dispatch-centre", "msg_01")
    'cb-36357efc8c9076d182d1ef22e879813b'
    """
    return "cb-" + sha256(f"{endpoint}|{webhook_id}".encode()).hexdigest()[:32]


def _is_line(text: str) -> bool:
    return len(text) <= NAME_MAX_CHARS and text.isprintable()
