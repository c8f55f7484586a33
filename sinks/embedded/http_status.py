"""The HTTP status of each of ClickHouse's error codes."""

_STATUS = {
    400: (6, 25, 26, 27, 36, 38, 41, 43, 44, 53, 62, 72, 117, 168, 427, 441, 675, 676),
    401: (194,),
    # READONLY is 500 at ClickHouse's, which makes clients try again what will never be allowed.
    403: (164, 192, 193, 452, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 511),
    408: (159,),
    411: (381,),
    413: (298,),
    501: (48,),
    # TOO_MANY_SIMULTANEOUS_QUERIES, likewise: it passes, and clients try again after a 503.
    503: (74, 202, 209, 439),
}
_BY_CODE = {code: status for status, codes in _STATUS.items() for code in codes}


def status_of(code: int) -> int:
    """Return the status for an error code; 500 for most.

    >>> status_of(62), status_of(60), status_of(241)
    (400, 404, 500)
    """
    return _BY_CODE.get(code, 500)
