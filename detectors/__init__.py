"""Pure online detectors: observe, a frame of observations in, verdicts and findings out. No clock, no I/O."""

from detectors.detectors import DETECTORS

__all__ = ["DETECTORS", "warm_up"]


def warm_up() -> None:
    """Compile the kernels now, once per machine, instead of at the first frame."""
    import numpy as np

    from detectors import kernel
    from detectors.judge_bank import JudgeBank

    kernel.compile_now()
    nothing = np.zeros(0, np.int64)
    JudgeBank().judge(nothing, np.zeros(0), nothing, nothing, np.zeros(0, np.uint8))
