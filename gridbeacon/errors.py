"""What went wrong, named after what the caller must do about it."""


class GridbeaconError(Exception):
    """Base of every error that Gridbeacon raises on purpose; its text is one sentence that names the fix."""


class ConfigError(GridbeaconError):
    """The configuration or the registry is wrong: tell the user the key, the line and the fix, then stop."""


class UsageError(GridbeaconError):
    """A command was called with something that it can't use: tell the user, change nothing."""


class Transient(GridbeaconError):
    """A part that we talk to is away or slow: retry later, commit nothing."""


class Backpressure(Transient):
    """The part accepts nothing more just now: stop reading until it does."""


class Fatal(GridbeaconError):
    """The process can't go on without risking a wrong result: end it, the supervisor starts a new one."""


class StayDown(Fatal):
    """The process must not be started again before a person has looked; its supervisor leaves it down."""


STAY_DOWN_CODE = 4
"""The exit code that tells a supervisor so."""
