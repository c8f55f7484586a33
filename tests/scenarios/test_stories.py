"""Every story in ``stories/`` comes out as it is written, replayed and live."""

from pathlib import Path

import pytest

from tests.scenarios import story

FILES = sorted(story.STORIES.glob("*.txt"))


@pytest.mark.parametrize("clock", ["event", "arrival"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_story(path: Path, clock: str) -> None:
    told = story.read(path)
    transitions = story.play(told, clock)
    assert story.lines(told, transitions) == told.told
    counts = {
        "alerts": len({one.alert.alert_id for one in transitions if one.alert is not None}),
        "notices": sum(one.notice is not None for one in transitions),
    }
    assert told.totals == {name: counts[name] for name in told.totals}
