"""Any detector of ``river.anomaly`` that keeps its state to itself, as a ``profiled.Detector``.

It sees z, an observation less what the profile expects, in spreads, as the features that suit it:

- half-space trees: one feature in 0..1, 0.5 + z / (2·(3 + |z|)), so that its limits are known;
- detectors of a value (those with ``score_one(x, y)``): y = z;
- all others: z and |z|, both / 20.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from river import anomaly

from detectors.profiled import CLIP, Detector
from detectors.river_state import from_bytes, to_bytes
from gridbeacon.errors import ConfigError

PREFIX = "river.anomaly."
NAMES = (
    "GaussianScorer",
    "HalfSpaceTrees",
    "LODA",
    "LocalOutlierFactor",
    "OneClassSVM",
    "StandardAbsoluteDeviation",
)
"""Those that work alone; filters and predictors need another model, which a configuration can't name."""
SEED = 1


class RiverDetector:
    """One series' detector of river.

    >>> detector = river_detector("river.anomaly.StandardAbsoluteDeviation", {})()
    >>> for z in (-1.0, 1.0) * 50:
    ...     detector.learn(z)
    >>> round(detector.score(3.0), 2)
    2.98
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._river = make()
        self._supervised = "y" in inspect.signature(self._river.score_one).parameters
        self._trees = isinstance(self._river, anomaly.HalfSpaceTrees)

    def score(self, z: float) -> float:
        """Return river's score; 0 where it says nothing usable, as some do before they have learned."""
        said = self._river.score_one(None, z) if self._supervised else self._river.score_one(self._features(z))
        score = float(said)
        return max(score, 0.0) if math.isfinite(score) else 0.0

    def learn(self, z: float) -> None:
        """Learn one value."""
        if self._supervised:
            self._river.learn_one(None, z)
        else:
            self._river.learn_one(self._features(z))

    def state(self) -> bytes:
        """Return the state, losslessly."""
        return to_bytes(self._river)

    def restore(self, state: bytes) -> None:
        """Take back what ``state`` returned."""
        self._river = from_bytes(state)

    def _features(self, z: float) -> dict[str, float]:
        if self._trees:
            return {"z": 0.5 + z / (2.0 * (3.0 + abs(z)))}
        return {"z": z / CLIP, "size": abs(z) / CLIP}


def river_detector(name: str, parameters: Mapping[str, Any]) -> Callable[[], Detector]:
    """Return what makes detectors of this name (``river.anomaly.X``).

    Raises ``ConfigError`` for an unknown name, an unknown parameter, and one that it does not take.
    """
    short = name.removeprefix(PREFIX)
    if short not in NAMES:
        known = ", ".join(PREFIX + one for one in NAMES)
        raise ConfigError(f"detect.detector {name!r} is no detector of river that works alone; choose of: {known}")
    kind: Any = getattr(anomaly, short)
    known_parameters = dict(inspect.signature(kind).parameters)
    given: dict[str, Any] = {"seed": SEED} if "seed" in known_parameters else {}
    for key, value in parameters.items():
        if key not in known_parameters:
            raise ConfigError(
                f"detect.parameters.{key}: {name} has no such parameter; it takes {', '.join(known_parameters)}"
            )
        _check_type(name, key, value, known_parameters[key].default)
        given[key] = value
    if kind is anomaly.HalfSpaceTrees:
        given.setdefault("limits", {"z": (0.0, 1.0)})

    def make() -> Any:
        return kind(**given)

    try:
        once = RiverDetector(make)
        for z in (0.5, -0.5, 1.0):
            once.learn(z)
            once.score(z)
        once.restore(once.state())
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"detect.parameters: {name} does not take {dict(parameters)} ({error}); correct them"
        ) from error
    return lambda: RiverDetector(make)


def _check_type(name: str, key: str, value: Any, default: Any) -> None:
    """Raise ``ConfigError`` when the value can't be what the default is."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    wanted = (
        "true or false"
        if isinstance(default, bool) and not isinstance(value, bool)
        else "a whole number"
        if isinstance(default, int) and not isinstance(default, bool) and not (number and float(value).is_integer())
        else "a number"
        if isinstance(default, float) and not number
        else None
        if default is not None or number
        else "a number"
    )
    if wanted is not None:
        raise ConfigError(f"detect.parameters.{key}: {value!r} is not {wanted}, which {name} needs; correct it")
