"""What is remembered is the latest, and nothing once it was to be forgotten."""

from sinks.embedded.remembered import Remembered


def test_the_oldest_is_forgotten_first() -> None:
    known: Remembered[int] = Remembered(2)
    known.put("a", 1)
    known.put("b", 2)
    assert known.get("a") == 1
    known.put("c", 3)
    assert [known.get(one) for one in "abc"] == [1, None, 3]
    known.forget()
    assert known.get("c") is None
