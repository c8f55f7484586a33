"""What sensors say together, by area and by cell: ``signals`` messages in, with the findings of all of it out."""

import msgspec

from detectors.areas import Areas
from detectors.cells import Cells
from detectors.drift import Drifts
from detectors.slots import Slots
from gridbeacon.config import Config
from gridbeacon.model import Born, Lesson, Position, Signal, SignalBatch
from gridbeacon.places import AREA, pool_of
from gridbeacon.reasons import LessonKind


class Together:
    """The state of one ``signals`` partition, in front of the assessor."""

    def __init__(self, config: Config, partition: int) -> None:
        self._budget = config.alarm_budget
        self._partition = partition
        self.slots, self.areas = Slots(config), Areas(config)
        self.cells, self.drifts = Cells(config), Drifts(config)

    def take(self, batch: SignalBatch, offset: int) -> SignalBatch:
        """Return the message with the findings that are due at its time, and the series that are new."""
        signals: list[Signal] = []
        born: list[Born] = []
        for slot in self.slots.take(batch):
            for found, new in (self.areas.judge(slot), self.cells.judge(slot), (self.drifts.judge(slot), ())):
                signals += found
                born += new
        if not (signals or born):
            return batch
        first = len(batch.signals)
        placed = (
            msgspec.structs.replace(s, index=first + n, lineage=Position("signals", self._partition, offset, n))
            for n, s in enumerate(signals)
        )
        return msgspec.structs.replace(
            batch,
            signals=(*batch.signals, *placed),
            born=(*batch.born, *born),
            pools=(*batch.pools, *((b.time_ms, pool_of(self._budget, b.cell, b.metric_class), b.count) for b in born)),
        )

    def learn(self, lesson: Lesson) -> None:
        """Learn what a person's feedback teaches of an area: a new trend begins its profile anew."""
        if lesson.kind is LessonKind.RESET and lesson.series.startswith(f"{AREA}/"):
            self.areas.relearn(lesson.series)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of all state that changed since the last call; None removes a key."""
        parts = ((b"slots", self.slots), (b"area", self.areas), (b"cell", self.cells), (b"drift", self.drifts))
        return [(b"together:%s:%s" % (name, key), value) for name, part in parts for key, value in part.changed()]

    def restore(self, key: bytes, value: bytes) -> None:
        """Take back one record of ``changed``, in any order."""
        _, name, rest = key.decode().split(":", 2)
        restore = {
            "slots": self.slots.restore,
            "area": self.areas.restore,
            "cell": self.cells.restore,
            "drift": self.drifts.restore,
        }
        restore[name](rest, value)
