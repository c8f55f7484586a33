"""Several roles of one command: a process each, that live and end together."""

import signal
import subprocess
import sys
import time
from types import FrameType

from gridbeacon.errors import Fatal

POLL_SECS = 0.1
STOP_SECS = 20.0


def run_several(commands: dict[str, list[str]]) -> None:
    """Run every command until SIGTERM or SIGINT, or until one ends; then end the others. Raises ``Fatal`` then."""
    asked = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    children = {role: subprocess.Popen(command) for role, command in commands.items()}
    ended: list[str] = []
    while not asked and not ended:
        time.sleep(POLL_SECS)
        ended = [role for role, child in children.items() if child.poll() is not None]
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + STOP_SECS
    for child in children.values():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if ended and not asked:
        sys.stderr.flush()
        raise Fatal(f"role {ended[0]} ended (code {children[ended[0]].returncode}), so the others were ended too")
