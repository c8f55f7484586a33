"""The role detect: frames in; scores and signals out. A shell around ``detectors.observer.Observer``."""

from collections import Counter

import msgspec

from detectors.observer import Observed, Observer
from gridbeacon.calendar import Calendar
from gridbeacon.config import Config
from gridbeacon.model import Born, CellResidual, PlaceSum, ReportCount, Sensor, Signal, SignalBatch, Tick
from gridbeacon.places import area_of, partition_of, pool_of
from streams import telemetry, topics
from streams.frames import Scored, decode_frame, encode_scored
from streams.partition import Machine, Output
from streams.role import Role

SENT = b"sent"
SCORED = -1
"""Stands for the partition of ``scores`` among those of ``signals``."""


class DetectMachine(Machine):
    """One partition of ``observations``: the observer, and which offset was last sent to each signals partition."""

    def __init__(self, config: Config, partition: int, calendar: Calendar | None = None) -> None:
        self.observer = Observer(config, partition, calendar)
        self._config = config
        self._partition = partition
        self._scores = config.topics.prefix + topics.SCORES
        self._signals = config.topics.prefix + topics.SIGNALS
        self._sent: dict[int, int] = {}

    def apply(self, offset: int, value: bytes) -> list[Output]:
        """Observe one frame; return its scores and, where there is something to say, signals and time."""
        frame = decode_frame(value)
        observed = self.observer.observe(frame, offset)
        outputs: list[Output] = []
        if (scored := self.scored(observed, frame.sensors, offset)) is not None:
            outputs.append(Output(self._scores, self._partition, encode_scored(scored)))
        for number, batch in self.batches(observed, offset):
            outputs.append(Output(self._signals, number, msgspec.json.encode(batch)))
        _count(observed)
        return outputs

    def scored(self, observed: Observed, sensors: tuple[Sensor, ...], offset: int) -> Scored | None:
        """Return what was judged, for store and forecast, with the time and the definitions that forecast needs."""
        if not (len(observed.judged.rows) or observed.events or sensors or observed.tick is not None):
            return None
        previous, self._sent[SCORED] = self._sent.get(SCORED, -1), offset
        return Scored(
            self._partition, offset, observed.judged, observed.events, previous, self._passed(observed.tick), sensors
        )

    def _passed(self, tick: Tick | None) -> Tick | None:
        """Return the time as it is passed on: in a replay situate waits for forecast as well."""
        if tick is None or not tick.of or not self._config.forecast.enabled:
            return tick
        return tick._replace(of=2 * tick.of)

    def batches(self, observed: Observed, offset: int) -> list[tuple[int, SignalBatch]]:
        """Return what goes to each partition of ``signals``: its areas' findings; the time goes to all."""
        count = self._config.topics.signals_partitions
        digits = self._config.grid.area_digits
        split: dict[int, list[Signal]] = {}
        for finding in observed.signals:
            split.setdefault(partition_of(area_of(finding.cell, digits), count), []).append(finding)
        born: dict[int, list[Born]] = {}
        pools: Counter[tuple[int, int]] = Counter()
        for one in observed.born:
            born.setdefault(partition_of(area_of(one.cell, digits), count), []).append(one)
            pools[one.time_ms, pool_of(self._config.alarm_budget, one.cell, one.metric_class)] += one.count
        sums: dict[int, list[PlaceSum]] = {}
        for together in observed.sums:
            sums.setdefault(partition_of(area_of(together.place, digits), count), []).append(together)
        cells: dict[int, list[CellResidual]] = {}
        for residual in observed.cells:
            cells.setdefault(partition_of(area_of(residual.cell, digits), count), []).append(residual)
        reports: dict[int, list[ReportCount]] = {}
        for counted in observed.counts:
            reports.setdefault(partition_of(area_of(counted.cell, digits), count), []).append(counted)
        batches: list[tuple[int, SignalBatch]] = []
        more = {*split, *sums, *cells, *reports}
        for number in range(count) if observed.tick is not None or born else sorted(more):
            batch = SignalBatch(
                partition=self._partition,
                offset=offset,
                previous=self._sent.get(number, -1),
                signals=tuple(split.get(number, ())),
                tick=self._passed(observed.tick),
                born=tuple(born.get(number, ())),
                sums=tuple(sums.get(number, ())),
                cells=tuple(cells.get(number, ())),
                counts=tuple(reports.get(number, ())),
                pools=tuple((*key, more) for key, more in sorted(pools.items())),
            )
            batches.append((number, batch))
            self._sent[number] = offset
        return batches

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the observer's changes and what was sent where."""
        return [*self.observer.changed(), (SENT, msgspec.json.encode(self._sent))]

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``."""
        if key == SENT:
            self._sent = msgspec.json.decode(value, type=dict[int, int])
        else:
            self.observer.restore(key, value)


def _count(observed: Observed) -> None:
    telemetry.counter("repeats_total").labels(role="detect").inc(observed.repeats)
    telemetry.counter("verdicts_total").inc(len(observed.judged.rows))
    for finding in observed.signals:
        telemetry.counter("signals_total").labels(layer=finding.layer).inc()


def role(config: Config, instance: str | None = None, calendar: Calendar | None = None) -> Role:
    """Return the role, ready to run."""
    return Role(
        config,
        name="detect",
        source=config.topics.prefix + topics.OBSERVATIONS,
        state=config.topics.prefix + topics.DETECT_STATE,
        partitions=config.topics.observations_partitions,
        checkpoint_secs=config.detect.checkpoint_secs,
        machine=lambda number: DetectMachine(config, number, calendar),
        instance=instance,
    )


def run(config: Config, instance: str | None = None, calendar: Calendar | None = None) -> None:
    """Run the role detect until told to stop."""
    role(config, instance, calendar).run()
