"""How the processes of one machine share its processor when there is not enough for all: what warns goes first."""

import os

BEHIND = 10
"""As ``nice`` counts: a process that stands so far back gets a tenth of what another one gets when both want all."""


def stand_back() -> None:
    """Let the processes on the way from an observation to its notice go before this one."""
    os.nice(BEHIND)
