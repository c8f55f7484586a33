"""Strangers can't fill the log."""

from sinks.embedded.voice import Refusals


def test_many_refusals_are_a_few_lines_and_a_number() -> None:
    told: list[str] = []
    now = [0.0]
    refusals = Refusals(told.append, lambda: now[0])
    for n in range(1000):
        refusals.add(f"refused {n}")
    assert told == [f"refused {n}" for n in range(10)]
    now[0] = 4.9
    refusals.look()
    assert len(told) == 10
    now[0] = 5.1
    refusals.look()
    refusals.look()
    refusals.add("refused again")
    assert told[10:] == ["refused 990 more within 5 s", "refused again"]
