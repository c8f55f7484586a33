"""The section ``routing`` of the configuration: who is told of which alert, who is called next, what is held back.

``mistakes`` says what does not fit together; ``config_rules`` asks it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gridbeacon.config_section import Positive, Section
from gridbeacon.reasons import Level, SituationKind

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Labels = dict[str, str]
"""What an alert must be like, by label: see ``LABELS``."""

LABELS = ("rule", "kind", "area", "cell", "min_level", "max_level")
"""``rule``, ``kind`` and ``area`` must be equal; ``cell`` is the beginning of its code; levels are bounds."""
EQUAL = ("area", "street", "community", "cell", "rule", "kind")
"""Labels that two alerts, or the alerts of a group, can have in common. Street and community are the first 9 and 12
digits of the cell."""
PLACES = ("area", "street", "community", "cell")
"""One of these must be among the labels of an inhibition: areas may lie in different partitions of the log."""
_RULES = ("safety", "data_health")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")


class Shift(Section, frozen=True):
    """A part of the week in the city's civil time. ``hours`` such as ``22:00-06:00`` go past midnight."""

    days: tuple[Day, ...] = ()
    """Empty = every day; of a shift past midnight the day on which it begins."""
    hours: str = "00:00-24:00"


class Receiver(Section, frozen=True):
    """Somebody who is told: the webhooks that reach them, and when they are on duty (always, when nothing is said)."""

    name: str
    webhooks: tuple[str, ...]
    on_duty: tuple[Shift, ...] = ()


class Route(Section, frozen=True):
    """One branch of the tree: which alerts take it, and who is told of them. What is not said is as in ``under``."""

    name: str
    under: str = ""
    """The route that an alert must have taken before; empty = this is a root."""
    match: Labels = msgspec.field(default_factory=dict)
    days: tuple[Day, ...] = ()
    hours: str = "00:00-24:00"
    receivers: tuple[str, ...] = ()
    escalation: str = ""
    go_on: bool = False
    """The routes after this one under the same are tried too."""


class Escalation(Section, frozen=True):
    """Who is called, one after the other, while nobody acknowledges."""

    name: str
    receivers: tuple[str, ...]


class Inhibition(Section, frozen=True):
    """While an alert like ``when`` is open, nobody is told of alerts like ``hold`` that have the labels ``equal``."""

    when: Labels
    hold: Labels
    equal: tuple[str, ...]


class AcknowledgeWithin(Section, frozen=True):
    """Seconds until somebody must have acknowledged; then the next of the escalation is called."""

    blue: Positive = 3600.0
    yellow: Positive = 900.0
    orange: Positive = 300.0
    red: Positive = 120.0


class Routing(Section, frozen=True):
    """Who is told. Without routes every webhook is told of every alert from its ``min_level`` on."""

    receivers: tuple[Receiver, ...] = ()
    routes: tuple[Route, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    inhibit: tuple[Inhibition, ...] = ()
    acknowledge_within_secs: AcknowledgeWithin = AcknowledgeWithin()
    repeat_secs: Positive = 600.0
    """The end of an escalation is called again this often; what was said is not said again for so long."""
    group_by: tuple[str, ...] = ("area", "rule")
    """Alerts that are alike in these are one group."""
    group_wait_secs: Annotated[float, Meta(ge=0)] = 30.0
    """After a notice of a group, further ones wait so long and become one. Red waits for nobody."""


Found = tuple[str, str]
"""Key and text of a mistake."""


def mistakes(routing: Routing, webhooks: Iterable[str]) -> Iterator[Found]:
    """Yield (key, what is wrong with its fix) of every mistake in ``routing``; ``webhooks`` are the names there are."""
    known = set(webhooks)
    receivers = {one.name for one in routing.receivers}
    yield from _names("routing.receivers", [one.name for one in routing.receivers])
    for number, receiver in enumerate(routing.receivers):
        key = f"routing.receivers[{number}]"
        if not receiver.webhooks:
            yield f"{key}.webhooks", f"{receiver.name!r} is reached by no webhook, so nobody would be told; name one"
        yield from _known(f"{key}.webhooks", receiver.webhooks, known, "webhook", "notify.webhooks")
        for place, shift in enumerate(receiver.on_duty):
            yield from _hours(f"{key}.on_duty[{place}].hours", shift.hours)
    yield from _names("routing.escalations", [one.name for one in routing.escalations])
    for number, chain in enumerate(routing.escalations):
        key = f"routing.escalations[{number}].receivers"
        if not chain.receivers:
            yield key, f"{chain.name!r} escalates to nobody; name a receiver"
        yield from _known(key, chain.receivers, receivers, "receiver", "routing.receivers")
    yield from _routes(routing, receivers)
    for number, rule in enumerate(routing.inhibit):
        key = f"routing.inhibit[{number}]"
        yield from _labels(f"{key}.when", rule.when)
        yield from _labels(f"{key}.hold", rule.hold)
        yield from _equal(f"{key}.equal", rule.equal)
        if not rule.equal:
            yield f"{key}.equal", f"without a label one alert would silence the whole city; name one of {_list(EQUAL)}"
        elif not set(rule.equal) & set(PLACES):
            yield f"{key}.equal", f"alerts of different areas do not see one another; name one of {_list(PLACES)} too"
    yield from _equal("routing.group_by", routing.group_by)


def _routes(routing: Routing, receivers: set[str]) -> Iterator[Found]:
    yield from _names("routing.routes", [one.name for one in routing.routes])
    above = {one.name: one.under for one in routing.routes}
    chains = {one.name for one in routing.escalations}
    for number, route in enumerate(routing.routes):
        key = f"routing.routes[{number}]"
        yield from _labels(f"{key}.match", route.match)
        yield from _hours(f"{key}.hours", route.hours)
        yield from _known(f"{key}.receivers", route.receivers, receivers, "receiver", "routing.receivers")
        if route.escalation:
            yield from _known(f"{key}.escalation", (route.escalation,), chains, "escalation", "routing.escalations")
        if route.under and route.under not in above:
            yield f"{key}.under", f"there is no route {route.under!r}; name one of routing.routes, or leave it out"
        elif loop := _loop(route.name, above):
            yield f"{key}.under", f"the routes {_list(loop)} lie under one another in a circle; let one be a root"
        elif not route.receivers and not route.under:
            yield f"{key}.receivers", f"the root {route.name!r} leads to nobody; name a receiver"


def _loop(name: str, above: dict[str, str]) -> list[str]:
    seen: list[str] = []
    while name and name in above and name not in seen:
        seen.append(name)
        name = above[name]
    return seen[seen.index(name) :] if name in seen else []


def _names(key: str, names: list[str]) -> Iterator[Found]:
    count = Counter(names)
    for number, name in enumerate(names):
        if not name or count[name] > 1:
            yield f"{key}[{number}].name", f"{name!r} must be a name that no other has; change it"


def _known(key: str, names: Iterable[str], known: set[str], what: str, where: str) -> Iterator[Found]:
    for name in names:
        if name not in known:
            yield key, f"there is no {what} {name!r}; name one of {where}"


def _labels(key: str, labels: Labels) -> Iterator[Found]:
    values = {"rule": _RULES, "kind": tuple(SituationKind)}
    values |= dict.fromkeys(("min_level", "max_level"), tuple(level.word for level in Level if level))
    for label, value in labels.items():
        if label not in LABELS:
            yield f"{key}.{label}", f"there is no label {label!r}; the labels are {_list(LABELS)}"
        elif label in values and value not in values[label]:
            yield f"{key}.{label}", f"{value!r} is no {label}; choose of {_list(values[label])}"


def _equal(key: str, labels: Iterable[str]) -> Iterator[Found]:
    for label in labels:
        if label not in EQUAL:
            yield key, f"there is no label {label!r} that alerts have in common; choose of {_list(EQUAL)}"


def _hours(key: str, hours: str) -> Iterator[Found]:
    found = HOURS.fullmatch(hours)
    if found is None or (found[3] == "24" and found[4] != "00") or hours[:5] == hours[6:]:
        yield key, f"{hours!r} is no part of a day; write it as 08:00-20:00, or 22:00-06:00 past midnight"


def _list(names: Iterable[str]) -> str:
    return ", ".join(str(name) for name in names)
