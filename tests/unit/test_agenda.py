"""The agenda: each name is due once, at the time at which it says it is."""

from hypothesis import given
from hypothesis import strategies as st

from gridbeacon.agenda import Agenda

steps = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 20), st.integers(0, 3)), max_size=40)


@given(steps)
def test_a_name_is_taken_when_it_is_due_and_at_no_other_time(story: list[tuple[str, int | None, int]]) -> None:
    """Invariant: whatever is put off, brought forward or called off, what is taken by a time is just what is due."""
    due: dict[str, int] = {}
    agenda, now = Agenda(lambda name: due.get(name)), 0
    for name, after, passes in story:
        if after is None:
            due.pop(name, None)
        else:
            due[name] = now + after
        agenda.call(name)
        assert agenda.next_ms() == min(due.values(), default=None)
        now += passes
        expected = sorted(one for one, at in due.items() if at <= now)
        assert agenda.take(now) == expected
        for one in expected:
            del due[one]
