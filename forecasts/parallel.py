"""Loops over series on all cores: rows are independent, so the number of cores changes no result."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

from threadpoolctl import threadpool_limits

FEWEST = 64
"""Series a core takes at least: fewer are done before a thread has begun."""


def over_rows(count: int, run: Callable[[int, int], None]) -> None:
    """Call ``run(first, last)`` for parts that together are 0 to ``count``, side by side; ``run`` gives the lock up.

    For compiled loops: where the parts end depends on the cores, so a row's result must not depend on its neighbours.
    """
    parts = max(1, min(_cores(), count // FEWEST))
    _side_by_side([count * part // parts for part in range(parts + 1)], parts, run)


def over_chunks(count: int, size: int, run: Callable[[int, int], None]) -> None:
    """Call ``run(first, last)`` for parts of ``size`` rows, as many side by side as there are cores.

    For matrix products, whose last digits depend on how many rows are multiplied at once: the parts are always alike.
    """
    _side_by_side([*range(0, count, size), count], _cores(), run)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let matrix products run in the thread that asks for them: the threads here are enough, and more get in each
    other's way."""
    with threadpool_limits(1, user_api="blas"):
        yield


def _cores() -> int:
    return os.cpu_count() or 1


def _side_by_side(edges: list[int], threads: int, run: Callable[[int, int], None]) -> None:
    parts = list(pairwise(edges))
    if len(parts) == 1 or threads == 1:
        for part in parts:
            run(*part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, *part) for part in parts]:
            done.result()
