"""The detectors by the name that the configuration uses. Add one by a line in ``DETECTORS``."""

from collections.abc import Callable, Mapping
from typing import Any

from detectors.bank import Bank
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import constants
from gridbeacon.errors import ConfigError

DETECTORS: dict[str, Callable[[Mapping[str, Any]], Bank]] = {
    "novelty_and_departure": lambda parameters: JudgeBank(constants(**parameters)),
}


def new_bank(name: str, parameters: Mapping[str, Any]) -> Bank:
    """Return an empty bank of the named detector. Raises ``ConfigError`` when there is none of that name."""
    if name not in DETECTORS:
        known = ", ".join(sorted(DETECTORS))
        raise ConfigError(f"detect.detector {name!r} is unknown; choose of: {known}")
    return DETECTORS[name](parameters)
