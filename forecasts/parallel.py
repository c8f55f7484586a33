"""Compiled loops over series on all cores: rows are independent, so the number of cores changes no result."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

FEWEST = 64
"""Series a core takes at least: fewer are done before a thread has begun."""


def over_rows(count: int, run: Callable[[int, int], None]) -> None:
    """Call ``run(first, last)`` for parts that together are 0 to ``count``, side by side; ``run`` gives the lock up."""
    parts = max(1, min(os.cpu_count() or 1, count // FEWEST))
    edges = [count * part // parts for part in range(parts + 1)]
    if parts == 1:
        run(0, count)
        return
    with ThreadPoolExecutor(parts) as pool:
        for done in [pool.submit(run, *edge) for edge in pairwise(edges)]:
            done.result()
