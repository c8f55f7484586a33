"""The time of a log: ticks in, one monotone time out. Nothing else in the core knows what time it is."""

import msgspec

from gridbeacon.model import Tick


class Watermark(msgspec.Struct, kw_only=True):
    """What a log's ticks say so far.

    In live operation (``Tick.of == 0``) the latest tick of any producer is the time. In a replay the time is the
    earliest over all ``Tick.of`` producers, and unknown until each of them has ticked.
    """

    time_ms: int | None = None
    producers: dict[str, int] = msgspec.field(default_factory=dict)

    def hear(self, tick: Tick) -> bool:
        """Take one tick; return whether the time has moved on. An older tick of a producer changes nothing.

        >>> clock = Watermark()
        >>> clock.hear(Tick("a", 5_000, of=2)), clock.hear(Tick("b", 7_000, of=2)), clock.time_ms
        (False, True, 5000)
        """
        if tick.of == 0:
            time_ms = tick.time_ms
        else:
            if tick.time_ms <= self.producers.get(tick.producer, tick.time_ms - 1):
                return False
            self.producers[tick.producer] = tick.time_ms
            if len(self.producers) < tick.of:
                return False
            time_ms = min(self.producers.values())
        if self.time_ms is not None and time_ms <= self.time_ms:
            return False
        self.time_ms = time_ms
        return True
