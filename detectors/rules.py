"""The configuration of limits and data quality as the kernel reads it."""

from typing import Any

import numpy as np

from detectors.layout import RULES
from gridbeacon.config import Config


def rules_of(config: Config) -> Any:
    """Return what the configuration asks of every row: one record of ``layout.RULES`` in an array."""
    limits, quality = config.limits, config.quality
    rules = np.zeros(1, RULES)
    ladders = (limits.moving, limits.stairs, limits.standing)
    rules["ladders"] = [(one.blue, one.yellow, one.orange, one.red) for one in ladders]
    rules["hysteresis_per_m2"] = limits.hysteresis_per_m2
    rules["hold_ms"] = round(limits.for_secs * 1000)
    rules["shares"] = limits.capacity_shares
    rules["flows"] = (limits.flow_level_per_m_min, limits.flow_stairs_per_m_min)
    rules["inflow_minutes"] = limits.inflow_minutes
    rules["stuck_repeats"] = quality.stuck_repeats
    rules["jump_from_per_m2"] = quality.jump_from_per_m2
    rules["min_coverage"], rules["min_confidence"] = quality.min_coverage, quality.min_confidence
    return rules
