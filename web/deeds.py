"""What each role may do to an alert."""

from web.tokens import Role

#: action -> the lowest role that may.
LOWEST: dict[str, Role] = {
    "acknowledge": Role.DISPATCHER,
    "assign": Role.DISPATCHER,
    "dispatch": Role.DISPATCHER,
    "resolve": Role.DISPATCHER,
    "comment": Role.DISPATCHER,
    "verify": Role.OFFICER,
    "close": Role.OFFICER,
    "reopen": Role.OFFICER,
    "feedback": Role.OFFICER,
    "silence": Role.OFFICER,
}


def may(role: Role) -> list[str]:
    """Return the actions that a role permits.

    >>> may(Role.VIEWER)
    []
    """
    return [action for action, lowest in LOWEST.items() if role >= lowest]
