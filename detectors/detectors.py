"""The detectors by the name that the configuration uses. Add one by a line in ``DETECTORS``."""

from collections.abc import Callable, Mapping
from typing import Any

from detectors.bank import Bank
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import CONSTANTS, constants
from detectors.profiled import ProfiledBank
from gridbeacon.errors import ConfigError

Parameters = Mapping[str, Any]


def _default(parameters: Parameters) -> Bank:
    for name, value in parameters.items():
        if name not in CONSTANTS:
            raise ConfigError(f"detect.parameters.{name}: it takes {', '.join(CONSTANTS)}; correct the name")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"detect.parameters.{name}: {value!r} is not a number; correct it")
    return JudgeBank(constants(**parameters))


#: What makes an empty bank of each, given the parameters of the configuration.
DETECTORS: dict[str, Callable[[Parameters], Bank]] = {
    "novelty_and_departure": _default,
}


def new_bank(name: str, parameters: Parameters) -> Bank:
    """Return an empty bank of the named detector: one of ``DETECTORS``, or ``river.anomaly.`` and one of river's.

    Raises ``ConfigError`` when there is none of that name, or when it does not take these parameters.
    """
    if name in DETECTORS:
        return DETECTORS[name](parameters)
    if name.startswith("river."):
        from detectors.river_detector import river_detector  # river takes a second to load

        return ProfiledBank(river_detector(name, parameters))
    known = ", ".join([*sorted(DETECTORS), "river.anomaly.HalfSpaceTrees and others of river"])
    raise ConfigError(f"detect.detector {name!r} is unknown; choose of: {known}")
