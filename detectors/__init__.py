"""Pure online detectors: observe, a frame of observations in, verdicts and findings out. No clock, no I/O."""

from detectors.learned import DETECTORS

__all__ = ["DETECTORS", "warm_up"]


def warm_up() -> None:
    """Compile the kernel now, once per machine, instead of at the first frame."""
    from detectors import kernel

    kernel.compile_now()
