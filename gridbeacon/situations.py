"""Situations as they come and go, between the findings of cells and the alert book: cells in, transitions out.

Pure: ``look`` says what stands in a cell, ``settle`` decides what follows from all that was said, ``pass_time`` what
follows from time alone.
"""

from collections.abc import Callable, Collection

import msgspec

from gridbeacon.agenda import Agenda
from gridbeacon.alert_book import KINDS as BOOK_KINDS
from gridbeacon.alert_book import AlertBook
from gridbeacon.config import Config
from gridbeacon.cooldown import COOLDOWN, Cooldown
from gridbeacon.held import Step
from gridbeacon.lifecycle import Event
from gridbeacon.merging import Spot
from gridbeacon.model import Alert, Evidence, Situation, SituationReport
from gridbeacon.places import area_of, levels_of
from gridbeacon.reasons import ConditionState, Level, Trend
from gridbeacon.roll import RULES, SAFETY, Roll, rule_of
from gridbeacon.situation import Place, Weighed, describe, is_core, is_diffuse, weigh
from gridbeacon.situation_map import Begun, SituationMap, Standing, Turn

SPOT, COURSE = "spot", "situation"
"""The kinds of keys of its state: ``spot:RULE:CELL`` and ``situation:NAME``."""
KINDS = (SPOT, COURSE, COOLDOWN, *BOOK_KINDS)
TREND_MS = 600_000
"""A situation that has not changed for so long is steady."""
REPORT_MS = 10_000
"""What is no news is reported this often at most."""
Findings = Callable[[str], Collection[Evidence]]
"""Cell -> what stands in it."""


class Course(msgspec.Struct):
    """How a situation has gone: where it began, what it follows, its worst, its trend, what was last reported, and
    the level and the loss of data that the book was last told of."""

    begun: Begun
    follows: str = ""
    recurs: bool = False
    highest: Level = Level.NONE
    weight: tuple[int, int, int] = (0, 0, 0)
    turned_ms: int = 0
    trend: Trend = Trend.STEADY
    version: int = 0
    reported: SituationReport | None = None
    report_at_ms: int | None = None
    told: tuple[Level, bool] | None = None

    def next_ms(self) -> int | None:
        """Return when something happens to it without a further message, or None."""
        times = [] if self.trend is Trend.STEADY else [self.turned_ms + TREND_MS]
        return min(times + ([] if self.report_at_ms is None else [self.report_at_ms]), default=None)


class Situations:
    """The situations of one partition, and the alerts that they become."""

    def __init__(self, config: Config) -> None:
        self._config = config
        situate = config.situate
        self.book = AlertBook(config)
        self.cooldown = Cooldown(round(situate.cooldown_secs * 1000))
        self.reports: list[SituationReport] = []
        self._maps = {
            rule: SituationMap(
                rule,
                lingers_ms=int(situate.clear_after_secs * 1000),
                area_digits=config.grid.area_digits,
                street_digits=config.grid.street_digits,
                levels=levels_of(config),
            )
            for rule in RULES
        }
        self._courses: dict[str, Course] = {}
        self._rolls: dict[str, Roll] = {}
        self._touched: set[str] = set()
        self._agenda = Agenda(self._due_ms)
        self._changed: set[tuple[str, str]] = set()

    def look(self, cell: str, findings: Collection[Evidence], near: tuple[str, ...], at_ms: int) -> None:
        """Say what stands in a cell now."""
        since: dict[str, int] = {}
        core, diffuse = False, set()
        for one in findings:
            rule = rule_of(one)
            since[rule] = min(since.get(rule, one.since_ms), one.since_ms)
            core = core or is_core(one)
            if is_diffuse(one):
                diffuse.add(rule)
        for rule, spots in self._maps.items():
            grave = core and rule == SAFETY
            now = Standing(since[rule], grave, rule in diffuse, near) if rule in since else None
            if spots.update(cell, now, at_ms):
                self._changed.add((SPOT, f"{rule}:{cell}"))
            spot = spots.spots.get(cell)
            if spot is not None and spot.situation:
                self._touched.add(spot.situation)
                if (roll := self._rolls.get(spot.situation)) is not None:
                    roll.put(cell, findings)

    def settle(self, at_ms: int, findings_of: Findings) -> list[Step]:
        """Return what follows from all that was said of cells since the last call."""
        turns: list[Turn] = []
        for rule, spots in self._maps.items():
            more, moved = spots.settle(at_ms)
            turns += more
            for cell, was in moved:
                self._changed.add((SPOT, f"{rule}:{cell}"))
                self._leave(cell, was)
                if (roll := self._rolls.get(spots.spots[cell].situation)) is not None:
                    roll.put(cell, findings_of(cell))
        for turn in turns:
            if turn.began:
                self._begin(turn.name, at_ms)
            if not turn.into and not turn.over:
                self._touched.add(turn.name)
        # One that is merged or over is not looked at again: its end is all that is told of it.
        ended = {turn.name for turn in turns if turn.into or turn.over}
        steps: list[Step] = []
        for name in sorted(self._touched - ended, key=lambda n: (self._courses[n].begun.opened_ms, n)):
            steps += self._assess(name, at_ms, findings_of)
        self._touched.clear()
        for turn in turns:
            if turn.into:
                steps += self.book.merged(turn.name, turn.into, at_ms)
            if turn.into or turn.over:
                self._end(turn, at_ms)
        return steps

    def pass_time(self, at_ms: int, findings_of: Findings) -> list[Step]:
        """Return what happens at a time by itself, after what was said of cells for that time."""
        self._touched.update(self._agenda.take(at_ms))
        steps = self.settle(at_ms, findings_of)
        for step in self.book.pass_time(at_ms):
            steps.append(step)
            if step.alert is not None and step.event.event == Event.CLEARED:
                self._cool_down(step.alert, at_ms)
        self.cooldown.expire(at_ms)
        for rule, spots in self._maps.items():
            for cell, was in spots.expire(at_ms):
                self._changed.add((SPOT, f"{rule}:{cell}"))
                self._leave(cell, was)
        return steps + self.settle(at_ms, findings_of)

    def next_ms(self) -> int | None:
        """Return when something happens here without a further message, or None."""
        times = [spots.next_ms() for spots in self._maps.values()]
        times += [self._agenda.next_ms(), self.book.next_ms(), self.cooldown.next_ms()]
        return min((ms for ms in times if ms is not None), default=None)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; the value None removes the key."""
        records = self.book.changed() + self.cooldown.changed()
        for kind, name in sorted(self._changed):
            rule, _, cell = name.partition(":")
            kept: Spot | Course | None
            kept = self._maps[rule].spots.get(cell) if kind == SPOT else self._courses.get(name)
            records.append((f"{kind}:{name}".encode(), None if kept is None else msgspec.json.encode(kept)))
        self._changed.clear()
        return records

    def restore(self, kind: str, name: str, value: bytes) -> None:
        """Take back one record of ``changed``: the parts of its key and its value."""
        if kind in BOOK_KINDS:
            self.book.restore(kind, name, value)
        elif kind == COOLDOWN:
            self.cooldown.restore(name, value)
        elif kind == SPOT:
            rule, _, cell = name.partition(":")
            self._maps[rule].restore(cell, msgspec.json.decode(value, type=Spot))
        else:
            course = self._courses[name] = msgspec.json.decode(value, type=Course)
            self._maps[course.begun.rule].begun[name] = course.begun
            self._agenda.call(name)

    def _cool_down(self, alert: Alert, at_ms: int) -> None:
        """Watch the place of an alert that has cleared more closely for a while."""
        course = self._courses.get(alert.situation_id)
        # One that was told because of the last one's cool-down alone must not keep the watch alive.
        least = Level.ORANGE if course is not None and course.recurs else Level.YELLOW
        if alert.rule == SAFETY and alert.highest_level >= least:
            self.cooldown.begin(alert.alert_id, self._around(alert.situation_id), at_ms)

    def _due_ms(self, name: str) -> int | None:
        course = self._courses.get(name)
        return None if course is None else course.next_ms()

    def _begin(self, name: str, at_ms: int) -> None:
        begun = next(spots.begun[name] for spots in self._maps.values() if name in spots.begun)
        course = self._courses[name] = Course(begun)
        if begun.split_from:
            held = self.book.held(begun.split_from)
            course.follows = "" if held is None else held.alert.alert_id
        elif begun.rule == SAFETY:
            cells = self._maps[SAFETY].cells_of(name)
            course.follows = next(filter(None, (self.cooldown.of(cell, at_ms) for cell in sorted(cells))), "")
            course.recurs = bool(course.follows)

    def _assess(self, name: str, at_ms: int, findings_of: Findings) -> list[Step]:
        course = self._courses[name]
        begun, spots = course.begun, self._maps[course.begun.rule]
        cells = spots.cells_of(name)
        roll = self._rolls.get(name)
        if roll is None:
            roll = self._rolls[name] = Roll(begun.rule, ((cell, findings_of(cell)) for cell in cells))
        place = Place(name, begun.cell, begun.opened_ms, (), course.follows, course.recurs, bool(begun.split_from))
        weighed = weigh(place, roll, spots.touching)
        steps: list[Step] = []
        if weighed is None:  # nothing is left to change by itself
            course.weight, course.trend, course.report_at_ms, course.told = (0, 0, 0), Trend.STEADY, None, None
            steps = self.book.situation(name, None, at_ms)
        else:
            self._turn(course, weighed, len(cells), at_ms)
            told = (weighed.level, weighed.data_lost)
            news, reported = course.told != told, self._is_due_to_report(course, weighed, cells, at_ms)
            course.told = told
            if news or reported:
                place = place._replace(cells=tuple(sorted(cells)))
                situation = describe(place, begun.rule, weighed, at_ms)
                situation = msgspec.structs.replace(situation, trend=course.trend)
                # The book is asked when it may have something to say: it decides by level and lost data alone.
                steps = self.book.situation(name, situation, at_ms) if news else []
                held = self.book.held(name)
                state = ConditionState.ACTIVE if held is None else held.alert.condition_state
                self._say(course, situation, state, at_ms, "" if held is None else held.alert.alert_id)
        self._changed.add((COURSE, name))
        self._agenda.call(name)
        return steps

    def _turn(self, course: Course, weighed: Weighed, cells: int, at_ms: int) -> None:
        """Say which way it goes."""
        weight = (int(weighed.level), cells, len(weighed.standing))
        course.highest = max(course.highest, weighed.level)
        if weight != course.weight:
            course.trend = Trend.RISING if weight > course.weight else Trend.FALLING
            course.weight, course.turned_ms = weight, at_ms
        elif at_ms - course.turned_ms >= TREND_MS:
            course.trend = Trend.STEADY

    def _is_due_to_report(self, course: Course, weighed: Weighed, cells: set[str], at_ms: int) -> bool:
        """Return whether it is to be reported: grave news at once, the rest when it was not reported for a while."""
        last = course.reported
        if last is None or course.told != (weighed.level, weighed.data_lost):
            return True
        was = last.situation
        if (was.kind, was.certainty) != (weighed.kind, weighed.certainty):
            return True
        before = (was.trend, was.centre, was.findings, len(was.cells))
        now = (course.trend, weighed.centre or was.cell, len(weighed.standing), len(cells))
        news = before != now or not cells.issuperset(was.cells)
        due_ms = last.changed_ms + REPORT_MS
        course.report_at_ms = due_ms if news and at_ms < due_ms else None
        return news and at_ms >= due_ms

    def _say(
        self, course: Course, situation: Situation, state: ConditionState, at_ms: int, alert_id: str, into: str = ""
    ) -> None:
        course.version += 1
        course.report_at_ms = None
        report = SituationReport(
            situation=situation,
            version=course.version,
            area=area_of(situation.cell, self._config.grid.area_digits),
            state=state,
            highest_level=course.highest,
            changed_ms=at_ms,
            alert_id=alert_id,
            merged_into=into,
        )
        # The evidence is kept once, with the findings.
        course.reported = msgspec.structs.replace(report, situation=msgspec.structs.replace(situation, evidence=()))
        self.reports.append(report)

    def _end(self, turn: Turn, at_ms: int) -> None:
        """Let go of a situation that is over, or part of another one."""
        course = self._courses.pop(turn.name)
        self._rolls.pop(turn.name, None)
        del self._maps[course.begun.rule].begun[turn.name]
        self._changed.add((COURSE, turn.name))
        last = course.reported
        if last is not None:
            last_now = msgspec.structs.replace(last.situation, level=Level.NONE, trend=Trend.FALLING)
            self._say(course, last_now, ConditionState.CLEARED, at_ms, last.alert_id, turn.into)

    def _leave(self, cell: str, name: str) -> None:
        if (roll := self._rolls.get(name)) is not None:
            roll.drop(cell)

    def _around(self, name: str) -> set[str]:
        """Return the cells of a situation and those that adjoin them."""
        spots = self._maps[SAFETY]
        cells = spots.cells_of(name)
        return set(cells).union(*(spots.spots[cell].near for cell in cells))
