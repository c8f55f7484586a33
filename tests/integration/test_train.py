"""A warm start: what was learned from history stands in detect's states, as if it had streamed through."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from detectors.observer import Observer
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.demo import auckland, evening
from gridbeacon.frame import Frame, verdicts
from gridbeacon.model import Tick
from gridbeacon.timeline import Line, ticked
from streams import admin
from streams.detect import DetectMachine
from streams.frames import encode_frame
from streams.kafka import client_settings
from streams.partition import Partition
from streams.train import Trainee

pytestmark = pytest.mark.integration
NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def days(first: int, last: int) -> list[Line | Tick]:
    """Return the hourly counts of Auckland of some days, with ticks."""
    lines = list(auckland.lines())
    begin_ms = lines[0].time_ms
    part = [line for line in lines if begin_ms + first * DAY_MS <= line.time_ms < begin_ms + last * DAY_MS]
    return list(ticked(part, 3_600_000))


def trained(config: Config, *parts: list[Line | Tick]) -> Trainee:
    trainee = Trainee(config, Calendar())
    trainee.read(evening.registry(), itertools.chain(*parts), NOW_MS)
    return trainee


def learned(observer: Observer) -> dict[str, bytes]:
    states = observer.states
    return {
        f"{states.sensors[source].sensor_id}/{metric}": states.banks.learned(number)
        for number, (source, metric) in enumerate(states.series_keys)
    }


async def opened(config: Config, number: int) -> tuple[Partition, DetectMachine]:
    """Own a partition of detect, as a new worker does."""
    machine, prefix = DetectMachine(config, number), config.topics.prefix

    async def send(output: Any) -> Any:
        raise AssertionError(output)

    part = Partition(
        number,
        machine,
        source=prefix + "observations",
        state=prefix + "detect.state",
        group=prefix + "detect",
        clients=client_settings(config),
        send=send,
    )
    return await part.open(), machine


def test_a_worker_restores_what_was_learned_and_goes_on_as_if_it_had_seen_it_all(city: Config) -> None:
    config = msgspec.structs.replace(city, clock="event", timezone=auckland.TIMEZONE)
    admin.init(config)
    history, rest = days(0, 21), days(21, 24)
    trainee = trained(config, history)
    adopted, known = trainee.save()
    assert adopted == known > 15
    assert trainee.save() == (0, known)  # again changes nothing: none has a shorter history now

    whole = trained(config, history, rest)

    async def work() -> None:
        for number, observer in enumerate(trainee.observers):
            part, machine = await opened(config, number)
            try:
                assert part.next == 0  # whatever is on the log is still to come
                born = machine.observer.observe(Frame(NOW_MS), 0).born
                assert learned(machine.observer) == learned(observer)
                states = machine.observer.states
                assert not states.series["episode"].any()
                assert not states.series["open"].any()
                assert sum(one.count for one in born) == len(learned(observer))
                assert machine.observer.observe(Frame(NOW_MS), 1).born == ()
            finally:
                await part.close()

    asyncio.run(work())

    again = trained(config)
    assert sum(mine.adopt(theirs) for mine, theirs in zip(again.observers, trainee.observers, strict=True)) == known
    again.read(evening.registry(), rest, NOW_MS)
    for mine, theirs in zip(again.observers, whole.observers, strict=True):
        assert learned(mine) == learned(theirs)


def test_a_warm_engine_judges_from_the_first_hour(city: Config) -> None:
    config = msgspec.structs.replace(city, clock="event", timezone=auckland.TIMEZONE)
    warm, cold = trained(config, days(0, 21)), trained(config)

    def states(trainee: Trainee) -> set[str]:
        from streams.intake import Intake

        intake = Intake(trainee._past, evening.registry())
        for offset, line in enumerate((item for item in days(21, 22) if isinstance(item, Line)), 1_000_000):
            intake.add(line.topic, 0, offset, line.raw, NOW_MS)
        found = set()
        for number, frames in intake.take(NOW_MS).frames.items():
            for frame in frames:
                assert encode_frame(frame)
                found |= {v.state.word for v in verdicts(trainee.observers[number].observe(frame, 10_000).judged)}
        return found

    assert "normal" in states(warm)
    assert states(cold) == {"warming_up"}
