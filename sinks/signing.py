"""Standard Webhooks signatures: sign what we send, verify what a receiver got (https://www.standardwebhooks.com)."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from gridbeacon.errors import GridbeaconError
from gridbeacon.secrets import secret_bytes

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

# The specification's recommendation: long enough for clocks that differ, short enough against replayed requests.
TOLERANCE_SECS = 300


class Unverified(GridbeaconError):
    """A request that does not carry a valid signature: answer 401, act on nothing in it."""


def sign(secrets: Sequence[str], notice_id: str, timestamp_secs: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``: one ``v1,<base64>`` per secret, separated by spaces.

    ``secrets`` are ``whsec_`` + base64, newest first; ``timestamp_secs`` is the time of this attempt since 1970.
    """
    return " ".join(
        "v1," + b64encode(_digest(secret_bytes(s), notice_id, timestamp_secs, body)).decode() for s in secrets
    )


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_secs: float,
    tolerance_secs: float = TOLERANCE_SECS,
) -> str:
    """Return the ``webhook-id`` of a request that one of ``secrets`` has signed.

    ``headers`` may be spelled in any case; ``body`` is the raw bytes as they arrived, not a parsed copy. Raises
    ``Unverified`` when a header is missing, the timestamp is further than ``tolerance_secs`` from ``now_secs``, or no
    signature fits (compared in constant time).
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        notice_id, stamp, signatures = (given[h] for h in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))
    except KeyError as missing:
        raise Unverified(f"header {missing} is missing: every webhook carries it") from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise Unverified(f"header '{TIMESTAMP_HEADER}' must be whole seconds since 1970")
    if abs(now_secs - int(stamp)) > tolerance_secs:
        raise Unverified(
            f"header '{TIMESTAMP_HEADER}' is more than {tolerance_secs:g} s off: check this machine's clock"
        )
    expected = [_digest(secret_bytes(s), notice_id, int(stamp), body) for s in secrets]
    matches = [hmac.compare_digest(e, got) for got in _v1(signatures) for e in expected]
    if not any(matches):
        raise Unverified("no signature fits: check the secret, and that the body is verified as raw bytes")
    return notice_id


def _digest(key: bytes, notice_id: str, timestamp_secs: int, body: bytes) -> bytes:
    return hmac.new(key, f"{notice_id}.{timestamp_secs}.".encode() + body, sha256).digest()


def _v1(signatures: str) -> list[bytes]:
    found: list[bytes] = []
    for part in signatures.split(" ")[:20]:
        version, _, value = part.partition(",")
        if version == "v1":
            try:
                found.append(b64decode(value, validate=True))
            except ValueError:  # not base64 (or not ASCII): a signature that fits nothing
                continue
    return found
