"""Before the disk is full nothing is written any more; when there is room again, writing goes on."""

from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from sinks.embedded.room import GO_ON_BYTES, NOT_ENOUGH_SPACE, STOP_BYTES, Room
from sinks.embedded.wire import ServerError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_writing_stops_in_time_and_goes_on_with_some_distance(tmp_path: Path) -> None:
    said: list[str] = []
    room = Room(tmp_path, lambda: said.append("stop"), lambda: said.append("go on"))
    seen = []
    for free in (10 * GO_ON_BYTES, STOP_BYTES, STOP_BYTES - 1, 0, STOP_BYTES, GO_ON_BYTES - 1, GO_ON_BYTES, STOP_BYTES):
        with patch("shutil.disk_usage", return_value=Usage(0, 0, free)):
            changed = room.look()
        seen.append((changed, room.tight))
        if room.tight:
            with pytest.raises(ServerError) as refused:
                room.check()
            assert refused.value.code == NOT_ENOUGH_SPACE
        else:
            room.check()
    assert seen == [
        (False, False),
        (False, False),
        (True, True),
        (False, True),
        (False, True),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert said == ["stop", "go on"]
