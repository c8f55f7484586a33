"""The roll of a situation: kept as findings come and go, it is what it would be if it were made anew."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbeacon.model import Evidence, Position
from gridbeacon.reasons import Level, Reason
from gridbeacon.roll import DATA_HEALTH, SAFETY, Roll

AT = Position("crowd.metrics", 0, 0)
CELLS = ("A", "B", "C")

findings = st.builds(
    lambda number, layer, level, since: (f"crowd/{number}/density", layer, Level(level), since),
    st.integers(0, 2),
    st.sampled_from(["limit", "learned", "quality"]),
    st.integers(1, 4),
    st.integers(0, 3),
)
steps = st.tuples(st.sampled_from(CELLS), st.none() | st.lists(findings, max_size=4, unique_by=lambda f: f[:2]))


def evidence(cell: str, found: tuple[str, str, Level, int]) -> Evidence:
    series, layer, level, since_ms = found
    reason = Reason.STUCK if layer == "quality" else Reason.DENSITY
    return Evidence(
        series=series, layer=layer, reason=reason, level=level, since_ms=since_ms, lineage=AT, value=1.0, cell=cell
    )


@settings(deadline=None)
@given(st.lists(steps, max_size=20), st.sampled_from([SAFETY, DATA_HEALTH]))
def test_a_roll_that_is_kept_equals_one_made_anew(
    story: list[tuple[str, list[tuple[str, str, Level, int]] | None]], rule: str
) -> None:
    roll = Roll(rule)
    stands: dict[str, list[Evidence]] = {}
    for cell, found in story:
        if found is None:
            stands.pop(cell, None)
            roll.drop(cell)
        else:
            kept = {e.series + e.layer: e for e in stands.get(cell, []) if e.level is Level.RED}  # the same object
            stands[cell] = [kept.get(f[0] + f[1], evidence(cell, f)) for f in found]
            roll.put(cell, stands[cell])
        anew = Roll(rule, stands.items())
        assert roll.standing == anew.standing
        assert roll.layers == anew.layers == {e.layer for e in anew.standing}
        assert sorted(map(str, roll.doubts)) == sorted(map(str, anew.doubts))
        levels = [e.level for e in roll.standing]
        assert levels == sorted(levels, reverse=True)
