"""The role forecast: verdicts and fits in; crossings, forecasts and requests out. A shell around ``Foresight``.

Its one log is ``scores``: what detect judged, the time, and the answers to the requests for fits, which the fitter
beside it (``streams/fitter.py``, in any worker of the role) writes there. So when a fit came into force is a record
too.
"""

from pathlib import Path

import msgspec

from forecasts.foresight import Foresight
from forecasts.outlook import Outlook
from forecasts.requests import decode_answer, is_answer
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.model import Signal, SignalBatch
from gridbeacon.places import area_of, partition_of
from streams import telemetry, topics
from streams.fitter import Fitter
from streams.forecast_frames import encode_forecasts
from streams.frames import decode_scored
from streams.partition import Machine, Output
from streams.role import Role

SENT = b"sent"


class ForecastMachine(Machine):
    """One partition of ``scores``: the foresight, and which offset was last sent to each signals partition."""

    def __init__(self, config: Config, partition: int) -> None:
        self.foresight = Foresight(config, partition)
        self._config = config
        self._partition = partition
        self._sent: dict[int, int] = {}

    def apply(self, offset: int, value: bytes) -> list[Output]:
        """Take one judged frame or one answer; return what follows from it."""
        outlook = self.outlook(offset, value)
        prefix, partitions = self._config.topics.prefix, self._config.topics.observations_partitions
        outputs = [
            Output(prefix + topics.SIGNALS, number, msgspec.json.encode(batch))
            for number, batch in self.batches(outlook, offset)
        ]
        rows, crossings = outlook.rows, tuple(outlook.crossings)
        stored = [encode_forecasts(one) for one in rows] + (
            [encode_forecasts(crossings=crossings)] if crossings else []
        )
        outputs += [Output(prefix + topics.FORECASTS, self._partition, one) for one in stored]
        for place, request in enumerate(outlook.requests):
            at = (self._partition + place) % partitions
            outputs.append(Output(prefix + topics.FORECAST_REQUESTS, at, msgspec.msgpack.encode(request)))
        _count(outlook)
        return outputs

    def outlook(self, offset: int, value: bytes) -> Outlook:
        """Take one message of the log; return what follows, as values."""
        if is_answer(value):
            return self.foresight.take(decode_answer(value), offset)
        scored = decode_scored(value)
        identity = scored.offset, scored.previous
        return self.foresight.observe(scored.judged, scored.sensors, scored.tick, identity, offset)

    def batches(self, outlook: Outlook, offset: int) -> list[tuple[int, SignalBatch]]:
        """Return what goes to each partition of ``signals``: its areas' crossings; the time goes to all."""
        count, digits = self._config.topics.signals_partitions, self._config.grid.area_digits
        split: dict[int, list[Signal]] = {}
        for finding in outlook.signals:
            split.setdefault(partition_of(area_of(finding.cell, digits), count), []).append(finding)
        tick = None if outlook.tick is None else outlook.tick._replace(producer=f"{topics.SCORES}/{self._partition}")
        found = []
        for number in range(count) if tick is not None else sorted(split):
            batch = SignalBatch(
                partition=self._config.topics.observations_partitions + self._partition,
                offset=offset,
                previous=self._sent.get(number, -1),
                signals=tuple(split.get(number, ())),
                tick=tick,
            )
            found.append((number, batch))
            self._sent[number] = offset
        return found

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the foresight's changes and what was sent where."""
        return [*self.foresight.changed(), (SENT, msgspec.json.encode(self._sent))]

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        if key == SENT:
            self._sent = msgspec.json.decode(value, type=dict[int, int])
        else:
            self.foresight.restore(key, value)


def _count(outlook: Outlook) -> None:
    telemetry.counter("repeats_total").labels(role="forecast").inc(outlook.repeats)
    telemetry.counter("forecast_late_total").inc(outlook.late)
    for finding in outlook.signals:
        telemetry.counter("signals_total").labels(layer=finding.layer).inc()
    for told in outlook.crossings:
        telemetry.counter("crossings_total").labels(reason=told.crossing.reason).inc()


def role(config: Config, instance: str | None = None, calendar: Calendar | None = None) -> Role:
    """Return the role, ready to run."""
    made = Role(
        config,
        name="forecast",
        source=config.topics.prefix + topics.SCORES,
        state=config.topics.prefix + topics.FORECAST_STATE,
        partitions=config.topics.observations_partitions,
        checkpoint_secs=config.forecast.checkpoint_secs,
        machine=lambda number: ForecastMachine(config, number),
        instance=instance,
    )
    folder = Path(config.data_dir) / "forecast" / (instance or "forecast")
    fitter = Fitter(config, folder, instance, Calendar() if calendar is None else calendar)
    made.task(fitter.work)
    return made


def run(config: Config, instance: str | None = None, calendar: Calendar | None = None) -> None:
    """Run the role forecast until told to stop."""
    role(config, instance, calendar).run()
