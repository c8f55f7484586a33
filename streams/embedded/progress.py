"""Show the one long download: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from streams.embedded.fetch import Report


@contextmanager
def shown(title: str) -> Iterator[Report]:
    """Yield ``report(done_bytes, total_bytes)``; what it is told appears on standard error under ``title``.

    Nothing is shown when ``report`` is never called, so that a start from the cache stays silent.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
        with Progress(*columns, console=console) as bar:
            tasks: list[TaskID] = []

            def on_terminal(done: int, total: int) -> None:
                if not tasks:
                    tasks.append(bar.add_task(title, total=total))
                bar.update(tasks[0], completed=done)

            yield on_terminal
        return
    told: set[str] = set()

    def on_plain(done: int, total: int) -> None:
        if not told:
            told.add("begin")
            print(f"{title}: {total / 1e6:.0f} MB", file=sys.stderr, flush=True)
        if done >= total and "end" not in told:
            told.add("end")
            print(f"{title}: done", file=sys.stderr, flush=True)

    yield on_plain
