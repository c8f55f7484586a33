"""The shapes of usual records: what the fast path of ingest has to know to read a record without looking its names up.

Producers write the same few shapes all day. Whatever is unusual is for ``Decoder`` to say.
"""

from typing import Any, NamedTuple

from gridbeacon.vocabulary import MOTIONS, SURFACES, Kind
from streams.decode.sensed import ENTITY_TYPES, MEASURED

_NAN = float("nan")
#: Fields of a usual record besides what it measures; a record with any other goes to ``Decoder``.
_NAMING = {
    Kind.CROWD: ("sensor_id", "camera_id", "zone_id", "id"),
    Kind.TRAFFIC: ("sensor_id", "laneId", "vehicleType", "id"),
}
MOST_SHAPES = 1000
"""Of records that are remembered: a stranger could send any number."""
BASE_NAMES = ("sensor_id", "camera_id", "id")
_DESCRIBING = {Kind.CROWD: ("coverage", "count_confidence", "surface", "motion"), Kind.TRAFFIC: ()}
_SURFACE_NUMBER = {word: number for number, word in enumerate(SURFACES)}
_MOTION_NUMBER = {word: number for number, word in enumerate(MOTIONS)}


class Source(NamedTuple):
    """What the fast path has to know of a registered source."""

    number: int
    partition: int
    surface: int
    area_m2: float | None
    interval_secs: float


class Shape(NamedTuple):
    """Where the fields of a usual record stand: its time, its type (-1: none), what names the source (``alone``: the
    one base name, -1 when there is more), whether anything describes it, and what it measures as
    (where, metric, low, high, whether it is a truth value)."""

    time: int
    kind: int
    naming: tuple[int, ...]
    alone: int
    described: bool
    measured: tuple[tuple[int, int, float, float, bool], ...]


class Fast:
    """What the fast path knows of one kind of record, and the sources it has met (by their naming fields)."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.types = (ENTITY_TYPES[kind], None)
        self.naming = _NAMING[kind]
        self.describing = frozenset(_DESCRIBING[kind])
        self.plain = frozenset(("type", "dateObserved"))
        self.measured = {name: (number, low, high) for number, name, low, high in MEASURED[kind]}
        self.names = (*self.plain, *self.naming, *self.describing, *self.measured)
        self.sources: dict[Any, Source] = {}
        self._shapes: dict[tuple[str, ...], Shape | None] = {}

    def shape(self, record: dict[str, Any]) -> Shape | None:
        """Return how to read a record with these fields in this order; None when it is for ``Decoder``.

        Producers write the same few shapes again and again: what the names mean is found out once.
        """
        if type(record) is not dict:
            return None
        names = tuple(record)
        try:
            return self._shapes[names]
        except KeyError:
            shape = self._read(names)
            if len(self._shapes) < MOST_SHAPES:
                self._shapes[names] = shape
            return shape

    def _read(self, names: tuple[str, ...]) -> Shape | None:
        if "dateObserved" not in names or not all(name in self.names for name in names):
            return None
        naming = [at for at, name in enumerate(names) if name in self.naming]
        # One base name alone is the source's name, whichever field it stands in.
        alone = len(naming) == 1 and names[naming[0]] in BASE_NAMES
        return Shape(
            time=names.index("dateObserved"),
            kind=names.index("type") if "type" in names else -1,
            naming=tuple(naming),
            alone=naming[0] if alone else -1,
            described=any(name in self.describing for name in names),
            measured=tuple(
                (at, *self.measured[name], name == "congested")
                for at, name in enumerate(names)
                if name in self.measured
            ),
        )


def described(record: dict[str, Any], source: Source) -> tuple[float, float, int, int] | None:
    """Return (coverage, confidence, surface, motion) of a record, or None when it is for ``Decoder`` to say."""
    shares = []
    for name in ("coverage", "count_confidence"):
        value = record.get(name, _NAN)
        if type(value) not in (float, int) or not (0 <= value <= 1 or value != value):
            return None
        shares.append(float(value))
    surface, motion = record.get("surface"), record.get("motion")
    surface_number = source.surface if surface is None else _SURFACE_NUMBER.get(surface)
    motion_number = 0 if motion is None else _MOTION_NUMBER.get(motion)
    if surface_number is None or motion_number is None:
        return None
    return shares[0], shares[1], surface_number, motion_number
