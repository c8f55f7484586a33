"""Situations over cells: the written rules of merging and splitting, held to by what comes in any order."""

from collections.abc import Iterable
from itertools import groupby
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.assessor import Assessor
from gridbeacon.config import Config, Situate
from gridbeacon.model import Evidence, Position, Signal, SignalBatch, SituationReport, Tick, Transition
from gridbeacon.reasons import Certainty, Level, Reason, SituationKind, Trend
from gridbeacon.roll import DATA_HEALTH, SAFETY
from gridbeacon.situation import Place, assess
from gridbeacon.situation_map import SituationMap, Standing, Turn
from gridbeacon.vocabulary import Kind

ROW = [f"310101001{n // 3:03d}{n:03d}" for n in range(9)]
"""Nine cells in a row, three to a community: each adjoins the one before and the one behind."""
NEAR = {cell: tuple(ROW[m] for m in (n - 1, n + 1) if 0 <= m < len(ROW)) for n, cell in enumerate(ROW)}
SECS = 1000
AT = Position("crowd.metrics", 0, 0)


def new_map(rule: str = SAFETY) -> SituationMap:
    return SituationMap(rule, lingers_ms=120 * SECS, area_digits=6, street_digits=12)


def stands(cell: str, since_ms: int = 0, *, core: bool = False, diffuse: bool = False) -> Standing:
    return Standing(since_ms, core, diffuse, NEAR[cell])


def parts(spots: SituationMap) -> list[list[int]]:
    """Return the cells of each situation by their number, in order."""
    names = {spot.situation for spot in spots.spots.values()}
    return sorted(sorted(ROW.index(cell) for cell in spots.cells_of(name)) for name in names)


def test_cells_that_adjoin_are_one_situation_and_others_are_not() -> None:
    spots = new_map()
    for n in (0, 1, 2, 5, 6):
        spots.update(ROW[n], stands(ROW[n]), 0)
    spots.settle(0)
    assert parts(spots) == [[0, 1, 2], [5, 6]]


def test_two_grave_places_that_do_not_touch_are_apart_and_the_rest_goes_with_the_nearest() -> None:
    spots = new_map()
    for n in range(8):
        spots.update(ROW[n], stands(ROW[n], n, core=n in (1, 6)), 0)
    spots.settle(0)
    assert parts(spots) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_what_is_only_unusual_is_one_over_its_community_without_neighbours() -> None:
    spots = new_map()
    for n in (0, 2):
        spots.update(ROW[n], Standing(0, core=False, diffuse=True), 0)
    spots.update(ROW[1], Standing(0, core=False, diffuse=False), 0)  # it has a place of its own
    spots.update(ROW[3], Standing(0, core=False, diffuse=True), 0)  # another community
    spots.settle(0)
    assert parts(spots) == [[0, 2], [1], [3]]


def test_an_unusual_area_holds_what_is_unusual_in_it() -> None:
    spots = SituationMap(SAFETY, lingers_ms=0, area_digits=6, street_digits=12, levels=(6, 9))
    for n in (0, 8):
        spots.update(ROW[n], Standing(0, core=False, diffuse=True), 0)
    spots.update("310101", Standing(0, core=False, diffuse=True), 0)
    spots.settle(0)
    assert len({spot.situation for spot in spots.spots.values()}) == 1


def test_neighbours_in_another_area_stay_apart() -> None:
    one, other = "310101001001001", "310102001001001"
    spots = new_map()
    spots.update(one, Standing(0, core=False, diffuse=False, near=(other,)), 0)
    spots.update(other, Standing(0, core=False, diffuse=False, near=(one,)), 0)
    spots.settle(0)
    assert len({spot.situation for spot in spots.spots.values()}) == 2


def test_of_two_that_merge_the_older_goes_on() -> None:
    spots = new_map()
    spots.update(ROW[4], stands(ROW[4]), 0)
    spots.settle(0)
    spots.update(ROW[2], stands(ROW[2], 5), 5)
    spots.settle(5)
    old, young = spots.spots[ROW[4]].situation, spots.spots[ROW[2]].situation
    spots.update(ROW[3], stands(ROW[3], 9), 9)
    turns, _ = spots.settle(9)
    assert parts(spots) == [[2, 3, 4]]
    assert [(turn.name, turn.into) for turn in turns if turn.into] == [(young, old)]


def test_what_was_one_stays_one_when_its_middle_is_over_unless_both_ends_are_grave() -> None:
    for grave, expected in ((False, [[1, 3]]), (True, [[1], [3]])):
        spots = new_map()
        for n in (1, 2, 3):
            spots.update(ROW[n], stands(ROW[n], core=grave), 0)
        spots.settle(0)
        name = spots.spots[ROW[1]].situation
        spots.update(ROW[2], None, 10)
        spots.settle(10)
        assert parts(spots) == [[1, 2, 3]]  # it lingers
        assert spots.expire(10 + 120 * SECS) == [(ROW[2], name)]
        turns, _ = spots.settle(10 + 120 * SECS)
        assert parts(spots) == expected
        assert spots.spots[ROW[1]].situation == name
        assert [spots.begun[turn.name].split_from for turn in turns if turn.began] == ([name] if grave else [])


cells = st.sampled_from(ROW)
standings = st.builds(
    Standing, st.integers(0, 50), st.booleans(), st.booleans(), st.just(())
)  # near comes with the cell


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(cells, standings), max_size=20), st.randoms(use_true_random=False), st.booleans())
def test_the_order_in_which_findings_arrive_does_not_change_what_is_one(
    given_: list[tuple[str, Standing]], dice: Any, settled: bool
) -> None:
    """Invariant: as long as nothing ends, what is one situation depends on what stands, not on what came first; no
    cell is in two; and each cell of a situation is connected with the others."""
    last: dict[str, Standing] = {}
    for cell, one in given_:
        before = last.get(cell)
        last[cell] = Standing(
            min(one.since_ms, before.since_ms if before else 50),
            one.core or bool(before and before.core),
            one.diffuse or bool(before and before.diffuse),
            NEAR[cell],
        )
    results = []
    for _ in range(3):
        order = list(last.items())
        dice.shuffle(order)
        spots = new_map()
        for cell, one in order:
            spots.update(cell, one, 60)
            if settled:
                spots.settle(60 + len(spots.spots))
        spots.settle(100)
        found = parts(spots)
        assert sorted(n for part in found for n in part) == sorted(ROW.index(cell) for cell in last)
        results.append(found)
    assert results[0] == results[1] == results[2]


AREAS = (ROW[0][:9], ROW[0][:12])


def told(dice: Random) -> tuple[str, Standing | None]:
    """Return what is said of some cell: mostly of six, so that much meets."""
    if dice.random() < 0.1:
        return dice.choice(AREAS), dice.choice([None, Standing(0, core=False, diffuse=True)])
    cell = dice.choice(ROW[:6] if dice.random() < 0.8 else ROW)
    if dice.random() < 0.4:
        return cell, None
    return cell, Standing(dice.randrange(50), core=dice.random() < 0.35, diffuse=dice.random() < 0.35)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_and_goes_each_cell_is_in_one_situation_also_after_a_restore(seed: int) -> None:
    """Invariant: every cell with a finding is in exactly one situation that has begun and is not over; a map that is
    restored goes on as if nothing had happened, also one that is restored before every step and therefore settles all
    that is connected anew, where the other knows what a cell can join without further ado."""

    def made() -> SituationMap:
        return SituationMap(SAFETY, lingers_ms=120 * SECS, area_digits=6, street_digits=12, levels=(9,))

    def step(spots: SituationMap, said: list[tuple[str, Standing | None]], at_ms: int) -> list[Turn]:
        turns: list[Turn] = []
        while (due_ms := spots.next_ms()) is not None and due_ms <= at_ms:
            spots.expire(due_ms)
            turns += spots.settle(due_ms)[0]
        for cell, one in said:
            spots.update(cell, one and one._replace(near=NEAR.get(cell, ())), at_ms)
        turns += spots.settle(at_ms)[0]
        for turn in turns:
            if turn.into or turn.over:
                del spots.begun[turn.name]
        return turns

    dice = Random(seed)
    spots, twin, at_ms = made(), made(), 0
    for _ in range(150):
        said = [told(dice) for _ in range(dice.randint(1, 4))]
        at_ms += dice.choice([1, 1, 20, 60, 121]) * SECS
        assert step(spots, said, at_ms) == step(twin, said, at_ms)
        assert {cell: spot.situation for cell, spot in spots.spots.items()} == {
            cell: spot.situation for cell, spot in twin.spots.items()
        }
        assert {spot.situation for spot in spots.spots.values()} == set(spots.begun)
        members = [name for begun in spots.begun for name in spots.cells_of(begun)]
        assert sorted(members) == sorted(spots.spots)
        if seed % 3 or dice.random() < 0.1:
            twin = made()
            for name, spot in spots.spots.items():
                twin.restore(name, msgspec.json.decode(msgspec.json.encode(spot), type=type(spot)))
            twin.begun = dict(spots.begun)


def camera(level: Level, *, name: str = "CAM-1", cell: str = ROW[0], value: float = 3.2) -> Evidence:
    return Evidence(
        series=f"crowd/{name}/density_max_per_m2",
        layer="limit",
        reason=Reason.DENSITY,
        level=level,
        since_ms=0,
        lineage=AT,
        value=value,
        cell=cell,
    )


def report(number: int, *, cell: str = ROW[0], verified: bool = False, code: str = "crowding") -> Evidence:
    return Evidence(
        series=f"events/{cell}/{code}",
        layer="event",
        reason=Reason.URGENT_REPORT,
        level=Level.ORANGE if verified else Level.YELLOW,
        since_ms=0,
        lineage=AT,
        cell=cell,
        request=f"R-{number}",
    )


def unusual(series: str, *, cell: str = ROW[0], value: float = 5.0, expected: float = 50.0) -> Evidence:
    return Evidence(
        series=series,
        layer="learned",
        reason=Reason.ABOVE_EXPECTED if value > expected else Reason.BELOW_EXPECTED,
        level=Level.BLUE,
        since_ms=0,
        lineage=AT,
        value=value,
        expected=expected,
        cell=cell,
    )


def quiet(name: str, cell: str = ROW[0]) -> Evidence:
    return Evidence(
        series=f"crowd/{name}",
        layer="quality",
        reason=Reason.GONE_QUIET,
        level=Level.BLUE,
        since_ms=0,
        lineage=AT,
        cell=cell,
    )


def judge(*evidence: Evidence, rule: str = SAFETY, at_ms: int = 240_000, **more: Any) -> Any:
    where = tuple(sorted({e.cell for e in evidence}))
    place = Place("s-1", ROW[0], 0, where, **more)
    return assess(place, rule, evidence, at_ms, lambda cell: NEAR[cell])


def test_three_reports_a_camera_and_a_falling_outflow_are_one_situation_told_in_one_sentence() -> None:
    found = judge(
        *(report(n) for n in range(3)),
        camera(Level.YELLOW, name="CAM-12"),
        unusual("crowd/CAM-12/people_count_away"),
    )
    assert found.headline == "3 reports of crowding and camera CAM-12 at 3.2 people/m², outflow falling, for 4 min"
    assert (found.level, found.reason) == (Level.ORANGE, Reason.CORROBORATED)
    assert (found.kind, found.certainty, found.findings) == (SituationKind.CROWDING, Certainty.OBSERVED, 5)


@pytest.mark.parametrize(
    ("evidence", "level", "certainty"),
    [
        ([camera(Level.YELLOW)], Level.YELLOW, Certainty.OBSERVED),
        ([report(1)], Level.YELLOW, Certainty.POSSIBLE),
        ([report(1), report(2), report(3)], Level.YELLOW, Certainty.POSSIBLE),
        ([report(1, verified=True)], Level.ORANGE, Certainty.LIKELY),
        ([camera(Level.BLUE), report(1)], Level.ORANGE, Certainty.OBSERVED),
        ([camera(Level.ORANGE), report(1)], Level.RED, Certainty.OBSERVED),
        ([camera(Level.RED), report(1)], Level.RED, Certainty.OBSERVED),
        ([camera(Level.YELLOW), report(1, cell=ROW[1])], Level.ORANGE, Certainty.OBSERVED),
        ([camera(Level.YELLOW), report(1, cell=ROW[4])], Level.YELLOW, Certainty.OBSERVED),  # too far to be a witness
        ([camera(Level.BLUE), unusual("traffic/L-1/intensity_per_h")], Level.YELLOW, Certainty.OBSERVED),
        ([camera(Level.BLUE), unusual("crowd/CAM-1/people_count")], Level.BLUE, Certainty.OBSERVED),  # the same sensor
        ([camera(Level.YELLOW), unusual("traffic/L-1/intensity_per_h")], Level.YELLOW, Certainty.OBSERVED),
        (
            [camera(Level.ORANGE), unusual("events/310101001000000/crowding/report_count", value=9, expected=1)],
            Level.ORANGE,  # only an urgent report raises to red
            Certainty.OBSERVED,
        ),
        (
            [camera(Level.YELLOW), unusual("events/310101001000000/crowding/report_count", value=9, expected=1)],
            Level.ORANGE,
            Certainty.OBSERVED,
        ),
        ([unusual("crowd/CAM-1/people_count")], Level.BLUE, Certainty.POSSIBLE),
        ([unusual(f"crowd/CAM-{n}/people_count") for n in range(9)], Level.YELLOW, Certainty.POSSIBLE),
        ([report(1), unusual("crowd/CAM-1/people_count")], Level.YELLOW, Certainty.LIKELY),
    ],
)
def test_the_level_and_how_sure_it_is(evidence: list[Evidence], level: Level, certainty: Certainty) -> None:
    found = judge(*evidence)
    assert (found.level, found.certainty) == (level, certainty)


@pytest.mark.parametrize(
    ("evidence", "kind"),
    [
        ([camera(Level.BLUE)], SituationKind.CROWDING),
        ([report(1, code="fire")], SituationKind.INCIDENT_REPORTS),
        ([report(1, verified=True), camera(Level.YELLOW)], SituationKind.CROWDING),
        ([unusual("traffic/L-1/average_vehicle_speed_km_h")], SituationKind.TRAFFIC_SHOCK),
        (
            [
                unusual("crowd/CAM-1/people_count_towards", value=90, expected=20),
                unusual("crowd/CAM-1/people_count_away", value=80, expected=20),
            ],
            SituationKind.COUNTERFLOW,
        ),
        ([unusual("area/310101/events.report_count", value=90, expected=20)], SituationKind.INCIDENT_REPORTS),
    ],
)
def test_what_it_is_about(evidence: list[Evidence], kind: SituationKind) -> None:
    assert judge(*evidence).kind is kind


def test_lost_data_and_doubted_data_are_told_apart() -> None:
    assert judge(quiet("CAM-1"), quiet("CAM-2"), rule=DATA_HEALTH).kind is SituationKind.DATA_LOSS
    stuck = msgspec.structs.replace(quiet("CAM-1/people_count"), reason=Reason.STUCK)
    assert judge(stuck, rule=DATA_HEALTH).kind is SituationKind.DATA_DOUBT


def test_the_condition_is_unknown_when_every_sensor_behind_it_is_quiet() -> None:
    assert judge(camera(Level.RED), quiet("CAM-1")).data_lost
    assert not judge(camera(Level.RED), camera(Level.BLUE, name="CAM-2"), quiet("CAM-1")).data_lost
    assert judge(camera(Level.RED), report(1), quiet("CAM-1")).data_lost  # a report says nothing of now


def test_a_situation_that_recurs_is_yellow_at_least() -> None:
    found = judge(camera(Level.BLUE), follows="310101-old", recurs=True)
    assert (found.level, found.reason, found.follows) == (Level.YELLOW, Reason.RECURRED, "310101-old")
    assert judge(camera(Level.RED), follows="310101-old", recurs=True).reason is Reason.DENSITY


levels = st.sampled_from([Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED])
some_evidence = st.one_of(
    st.builds(lambda level, n, cell: camera(level, name=f"CAM-{n}", cell=cell), levels, st.integers(0, 3), cells),
    st.builds(lambda n, cell, v: report(n, cell=cell, verified=v), st.integers(0, 9), cells, st.booleans()),
    st.builds(lambda n, cell: unusual(f"crowd/CAM-{n}/people_count", cell=cell), st.integers(0, 3), cells),
    st.builds(lambda n, cell: quiet(f"CAM-{n}", cell), st.integers(0, 3), cells),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(some_evidence, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_level_is_never_below_the_worst_limit_breach_nor_far_above_it(evidence: list[Evidence], dice: Any) -> None:
    """Invariant: a situation is as bad as its worst limit or report at least, and one level above it at most; what is
    only unusual is yellow at most; the order of the findings changes nothing."""
    found = judge(*evidence)
    hard = [e.level for e in evidence if e.layer in ("limit", "event")]
    if found is None:
        assert all(e.layer == "quality" for e in evidence)
        return
    assert found.level >= max(hard, default=Level.BLUE)
    assert found.level <= (min(max(hard) + 1, Level.RED) if hard else Level.YELLOW)
    assert found.findings == sum(e.layer != "quality" for e in evidence)
    shuffled = list(evidence)
    dice.shuffle(shuffled)
    again = judge(*shuffled)
    key = lambda e: (e.series, e.layer, e.level, e.cell, e.request)  # noqa: E731
    assert sorted(found.evidence, key=key) == sorted(again.evidence, key=key)
    assert msgspec.structs.replace(found, evidence=(), headline="", centre="") == msgspec.structs.replace(
        again, evidence=(), headline="", centre=""
    )


def signal(line: tuple[int, int, int, str, Level]) -> Signal:
    """Return the signal of (secs, cell, sensor, layer, level)."""
    secs, n, sensor, layer, level = line
    reason = {"limit": Reason.DENSITY, "event": Reason.URGENT_REPORT, "quality": Reason.GONE_QUIET}[layer]
    name = f"crowd/CAM-{n}{sensor}"
    return Signal(
        cell=ROW[n],
        layer=layer,
        series={"limit": f"{name}/density_max_per_m2", "event": f"events/{ROW[n]}/crush", "quality": name}[layer],
        reason=reason,
        level=level,
        time_ms=secs * SECS,
        lineage=Position("crowd.metrics", 0, secs),
        kind=Kind.CROWD,
        near=NEAR[ROW[n]],
        request=f"R-{sensor}" if layer == "event" else "",
        value=1.0,
    )


lines = st.tuples(
    st.integers(1, 900),
    st.integers(0, 8),
    st.integers(0, 1),
    st.sampled_from(["limit", "limit", "event", "quality"]),
    st.sampled_from(Level),
)


def play(
    story: Iterable[tuple[int, int, int, str, Level]], config: Config, cut: int = 60
) -> tuple[list[Transition], list[SituationReport]]:
    """Return the transitions and the reports of a story in ticks of 30 s; restored after each tick from ``cut`` on."""
    assessor, saved = Assessor(config, 0), dict[bytes, bytes | None]()
    out: list[Transition] = []
    reports: list[SituationReport] = []
    signals = [signal(line) for line in story]
    for number in range(60):
        now = number * 30 * SECS
        due = tuple(s for s in signals if now - 30 * SECS < s.time_ms <= now)
        batch = SignalBatch(
            partition=0,
            offset=number,
            previous=number - 1,
            signals=due,
            tick=Tick("a", now, of=int(config.clock == "event")),
        )
        out += assessor.assess(batch, number)
        reports += assessor.take_reports()
        saved.update(assessor.changed())
        if number >= cut:
            assessor = Assessor(config, 0)
            for key, value in sorted(saved.items(), reverse=True):
                if value is not None:
                    assessor.restore(key, value)
    return out, reports


@settings(max_examples=60, deadline=None)
@given(st.lists(lines, max_size=25), st.integers(0, 58), st.sampled_from(["event", "arrival"]))
def test_alerts_are_exact_after_a_restore_and_end_as_they_should(
    story: list[tuple[int, int, int, str, Level]], cut: int, clock: str
) -> None:
    """Invariant: a restart between any two messages changes no transition. Each alert opens once and ends at most
    once; one that is merged names an older alert that is open then; versions count by one."""
    config = Config(clock=clock)  # type: ignore[arg-type]
    told, reports = play(story, config)
    assert (told, reports) == play(story, config, cut)
    open_now: dict[str, int] = {}
    told = [one for one in told if not one.event.action_id]  # what is only said again, or later, is no transition
    for one in told:
        name = one.alert.alert_id
        if one.event.event == "opened":
            assert name not in open_now
            open_now[name] = one.alert.opened_ms
        assert name in open_now
        if one.event.event == "merged":
            assert open_now[one.alert.merged_into] <= open_now[name]
        if one.alert.condition_state == "cleared":
            del open_now[name]
    versions = sorted((one.alert.alert_id, one.alert.version) for one in told)
    for _, group in groupby(versions, key=lambda pair: pair[0]):
        counted = [version for _, version in group]
        assert counted == list(range(1, len(counted) + 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(lines, max_size=20))
def test_no_finding_is_in_two_alerts_and_every_grave_one_is_in_one(
    story: list[tuple[int, int, int, str, Level]],
) -> None:
    """Invariant: after every message, each limit that is broken stands behind exactly one open alert, whose level is
    not below it."""
    config = Config(clock="arrival", situate=Situate(clear_after_secs=60.0))
    assessor = Assessor(config, 0)
    standing: dict[str, tuple[str, Level]] = {}
    cells_of: dict[str, tuple[tuple[str, ...], Level]] = {}
    for number, one in enumerate(sorted(map(signal, story), key=lambda s: s.time_ms)):
        batch = SignalBatch(
            partition=0, offset=number, previous=number - 1, signals=(one,), tick=Tick("a", one.time_ms)
        )
        assessor.assess(batch, number)
        for report_ in assessor.take_reports():
            if report_.situation.rule == SAFETY:
                name = report_.situation.situation_id
                if report_.state == "cleared":
                    cells_of.pop(name, None)
                else:
                    cells_of[name] = report_.situation.cells, report_.situation.level
        if one.layer == "limit":
            standing.pop(one.series, None)
            if one.level:
                standing[one.series] = one.cell, one.level
        alerts = [a for a in assessor.open_alerts if a.rule == SAFETY]
        for cell, level in standing.values():
            (alert,) = [a for a in alerts if cell in assessor._situations._maps[SAFETY].cells_of(a.situation_id)]
            assert alert.level >= level


def test_the_trend_rises_falls_and_rests() -> None:
    config = Config(clock="event")
    assessor = Assessor(config, 0)
    seen = []
    for number in range(200):
        now = number * 10 * SECS
        level = {1: Level.YELLOW, 20: Level.RED, 100: Level.BLUE}.get(number)
        due = () if level is None else (signal((number * 10, 0, 0, "limit", level)),)
        batch = SignalBatch(partition=0, offset=number, previous=number - 1, signals=due, tick=Tick("a", now, of=1))
        assessor.assess(batch, number)
        seen += [(r.changed_ms // SECS, r.situation.trend, r.version) for r in assessor.take_reports()]
    assert seen == [
        (10, Trend.RISING, 1),
        (200, Trend.RISING, 2),
        (800, Trend.STEADY, 3),
        (1000, Trend.FALLING, 4),
        (1600, Trend.STEADY, 5),
    ]
