"""Who is told of an alert at a time: the tree of routes, who is on duty, and which webhooks reach them. Pure."""

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gridbeacon.civil import utc
from gridbeacon.config import Config
from gridbeacon.config_routing import HOURS, Labels, Receiver, Route, Shift
from gridbeacon.model import Alert
from gridbeacon.reasons import Level

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STREET_DIGITS, COMMUNITY_DIGITS = 9, 12


class Address(NamedTuple):
    """Who is told: receivers and webhooks by name, and the escalation that begins, "" for none."""

    receivers: tuple[str, ...]
    webhooks: tuple[str, ...]
    escalation: str = ""


class Router:
    """The routes of a configuration."""

    def __init__(self, config: Config) -> None:
        routing = config.routing
        self._zone = ZoneInfo(config.timezone)
        self._webhooks = {one.name: one for one in config.notify.webhooks}
        self._receivers = {one.name: one for one in routing.receivers}
        self._chains = {one.name: one.receivers for one in routing.escalations}
        self._below: dict[str, list[Route]] = {}
        for route in routing.routes:
            self._below.setdefault(route.under, []).append(route)

    def address(self, alert: Alert, at_ms: int) -> Address:
        """Return who is to be told of an alert: those of the deepest routes that it takes.

        An alert that takes no route goes to every webhook: a gap in the tree must not hide it.
        """
        found = self._taken("", (), "", alert, at_ms)
        if not found:
            return Address((), self._wanted(self._webhooks, alert))
        names = tuple(dict.fromkeys(name for receivers, _ in found for name in receivers))
        chain = next((escalation for _, escalation in found if escalation), "")
        return self._reached(names, alert, at_ms, chain)

    def called(self, chain: str, number: int, alert: Alert, at_ms: int) -> Address:
        """Return who is called at a place, from 0, of an escalation that there is."""
        return self._reached((self._chains[chain][number],), alert, at_ms, chain)

    def steps(self, chain: str) -> int:
        """Return how many are called before the last is called again."""
        return len(self._chains.get(chain, ()))

    def _taken(
        self, under: str, receivers: tuple[str, ...], escalation: str, alert: Alert, at_ms: int
    ) -> list[tuple[tuple[str, ...], str]]:
        found: list[tuple[tuple[str, ...], str]] = []
        for route in self._below.get(under, ()):
            if not (matches(route.match, alert) and self._is_in(Shift(days=route.days, hours=route.hours), at_ms)):
                continue
            ours, chain = route.receivers or receivers, route.escalation or escalation
            found += self._taken(route.name, ours, chain, alert, at_ms) or [(ours, chain)]
            if not route.go_on:
                break
        return found

    def _reached(self, names: tuple[str, ...], alert: Alert, at_ms: int, chain: str) -> Address:
        receivers = [self._receivers[name] for name in names]
        # Off duty is better than nobody.
        on_duty = [one for one in receivers if self._on_duty(one, at_ms)] or receivers
        webhooks = dict.fromkeys(name for one in on_duty for name in one.webhooks)
        return Address(tuple(one.name for one in on_duty), self._wanted(webhooks, alert), chain)

    def _wanted(self, names: Iterable[str], alert: Alert) -> tuple[str, ...]:
        return tuple(
            name
            for name in names
            if alert.mode in self._webhooks[name].modes and alert.level >= Level[self._webhooks[name].min_level.upper()]
        )

    def _on_duty(self, receiver: Receiver, at_ms: int) -> bool:
        return not receiver.on_duty or any(self._is_in(shift, at_ms) for shift in receiver.on_duty)

    def _is_in(self, shift: Shift, at_ms: int) -> bool:
        return is_in(shift, at_ms, self._zone)


def is_in(shift: Shift, at_ms: int, zone: ZoneInfo) -> bool:
    """Return whether a time lies in a shift of the civil week.

    >>> night = Shift(days=("fri",), hours="22:00-06:00")
    >>> [is_in(night, at_ms, ZoneInfo("UTC")) for at_ms in (1_672_437_600_000, 1_672_531_200_000, 1_672_466_400_000)]
    [True, False, False]
    """
    hours = HOURS.fullmatch(shift.hours)
    if hours is None:
        raise ValueError(shift.hours)
    begin, end = (60 * int(hours[n]) + int(hours[n + 1]) for n in (1, 3))
    at = utc(at_ms).astimezone(zone)
    minute, day = 60 * at.hour + at.minute, at.weekday()
    if begin < end:
        return begin <= minute < end and _is_day(shift, day)
    return (minute >= begin and _is_day(shift, day)) or (minute < end and _is_day(shift, day - 1))


def _is_day(shift: Shift, weekday: int) -> bool:
    return not shift.days or DAYS[weekday % 7] in shift.days


def matches(labels: Labels, alert: Alert) -> bool:
    """Return whether an alert is as all the labels say."""
    return all(_is(label, value, alert) for label, value in labels.items())


def common(labels: Iterable[str], alert: Alert) -> tuple[str, ...]:
    """Return the values of an alert's labels by which it is compared with others."""
    return tuple(_value(label, alert) for label in labels)


def _is(label: str, value: str, alert: Alert) -> bool:
    match label:
        case "cell":
            return alert.cell.startswith(value)
        case "min_level":
            return alert.level >= Level[value.upper()]
        case "max_level":
            return alert.level <= Level[value.upper()]
    return _value(label, alert) == value


def _value(label: str, alert: Alert) -> str:
    match label:
        case "street":
            return alert.cell[:STREET_DIGITS]
        case "community":
            return alert.cell[:COMMUNITY_DIGITS]
    return str(getattr(alert, label))
