"""What came back from a webhook, in words: for the person who sets one up."""

from typing import TYPE_CHECKING

from gridbeacon.config_notify import Webhook
from gridbeacon.reasons import DeliveryOutcome

if TYPE_CHECKING:
    from sinks.deliveries import Result

_STATUS = {
    400: "it does not understand the body; check that it expects the profile '{profile}'",
    401: "it does not accept the signature; check that both sides have the same secret, and that it verifies the raw "
    "bytes of the body",
    403: "it does not accept who sends, or from where; check secret, token in the URL and its list of addresses",
    404: "there is nothing at this address; check the path of the URL",
    405: "the address does not take POST; check the path of the URL",
    408: "it took too long for itself",
    410: "it says that it is gone; a notice would disable the webhook until its URL changes or you enable it again",
    413: "it finds the body too large",
    415: "it does not take this content type; check that it expects the profile '{profile}'",
    429: "it takes no more for now",
}


def verdict(hook: Webhook, result: "Result") -> list[str]:
    """Return what came of a test notice, a sentence each: what happened, the likely cause, what a real notice does.

    >>> from sinks.deliveries import Result
    >>> hook = Webhook(name="centre", url="https://h.example.org/")
    >>> verdict(hook, Result(204, "", None, 0, 12.3))
    ['centre took the notice: HTTP 204 after 12 ms.']
    """
    outcome = result.meaning
    after = f"after {result.duration_ms:.0f} ms"
    said = f' It said: "{result.detail}".' if result.detail else ""
    if outcome is DeliveryOutcome.DELIVERED:
        return [f"{hook.name} took the notice: HTTP {result.status} {after}.{said}"]
    if result.status == 0:
        why = [f"{hook.name} did not take the notice: {result.detail}."]
        if "allow_private" in result.detail:
            why.append("Nothing was sent.")
    elif 200 <= result.status < 300:
        why = [f"{hook.name} answered HTTP {result.status} {after}, but its answer says no.{said}"]
    else:
        cause = _STATUS.get(result.status)
        if 300 <= result.status < 400:
            cause = "it redirects, and redirects are not followed; set url to where it points"
        elif result.status >= 500:
            cause = "it has a fault of its own; its log says more"
        told = f" This is what it means: {cause.format(profile=hook.profile)}." if cause else ""
        why = [f"{hook.name} did not take the notice: HTTP {result.status} {after}.{said}{told}"]
    if result.retry_after_secs is not None:
        why.append(f"It asks to wait {result.retry_after_secs:g} s.")
    return [*why, _next(hook, outcome)]


def _next(hook: Webhook, outcome: DeliveryOutcome) -> str:
    then = f"go to {hook.fallback}" if hook.fallback else "not be tried here again"
    match outcome:
        case DeliveryOutcome.RETRY:
            more = f", and after {hook.fallback_after_secs:g} s go to {hook.fallback} too" if hook.fallback else ""
            return f"A real notice would be tried again{more}."
        case DeliveryOutcome.DISABLED:
            return f"A real notice would {then}, and so would all that follow."
        case _:
            return f"A real notice would {then}."
