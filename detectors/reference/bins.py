"""Profiles: means by hour of the week or of the day, to seven digits."""

from dataclasses import dataclass, field

import numpy as np

FIRST_ERRORS, FIRST_SCORES = 20, 50
"""Observations before errors are clipped and residuals scored, and before there is any novelty."""


def f4(x: float) -> float:
    """Return x as the profiles keep it, to seven digits."""
    return float(np.float32(x))


def clip(x: float, most: float) -> float:
    """Return x within ± most."""
    return min(max(x, -most), most)


@dataclass(slots=True)
class Bins:
    """A profile of one kind: means by bin, and the visits behind them, of which at most so many count."""

    size: int
    most: int
    means: list[float] = field(init=False)
    visits: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.means, self.visits = [0.0] * self.size, [0] * self.size

    def learn(self, at: int, base: float, x: float, least_gain: float, limit: float) -> float:
        """Move a bin from ``base`` towards x; return the gain."""
        self.visits[at] = min(self.visits[at] + 1, self.most)
        gain = max(1.0 / self.visits[at], least_gain)
        self.means[at] = f4(base + gain * clip(x - base, limit))
        return gain
