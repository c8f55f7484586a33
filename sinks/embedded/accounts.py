"""Who may log in to the embedded ClickHouse: chDB knows no users, so the endpoint has its own."""

import base64
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Sequence

from gridbeacon.config import Account
from gridbeacon.errors import ConfigError
from sinks.embedded.wire import ServerError

AUTHENTICATION_FAILED = 516
OPEN = (
    Account(name="default", role="writer", max_queries=32),
    Account(name="writer", role="writer", max_queries=32),
    Account(name="analyst"),
    Account(name="grafana"),
)
"""Who there is when the configuration names nobody: as in a new ClickHouse, whoever is on this machine may log in."""
_N, _R, _P, _SALT_BYTES, _KEY_BYTES = 1 << 14, 8, 1, 16, 32
"""Cost of one try at a password: 16 MB and some 50 ms (RFC 7914)."""
_MOST_TRIES_AT_ONCE = 4


def hash_password(password: str) -> str:
    """Return what the configuration keeps of a password: ``scrypt:<cost>:<salt>:<key>``, salted anew each time."""
    salt = os.urandom(_SALT_BYTES)
    return f"scrypt:{_N}:{_text(salt)}:{_text(_key(password, salt, _N))}"


class Accounts:
    """The users of one endpoint; none means those of ``OPEN``. Raises ``ConfigError`` on a hash that is none."""

    def __init__(self, accounts: Sequence[Account] = ()) -> None:
        self._accounts = {account.name: account for account in accounts or OPEN}
        for account in self._accounts.values():
            _parts(account)
        # Passwords that were right, by a digest with a key of this process: scrypt is for thieves, not for every query.
        self._pepper = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._trying = threading.BoundedSemaphore(_MOST_TRIES_AT_ONCE)

    @property
    def without_password(self) -> list[str]:
        """Names of the users that need no password."""
        return [name for name, account in self._accounts.items() if not account.password_hash]

    def login(self, name: str, password: str) -> Account:
        """Return the user's account; an empty name means ``default``. Raises ``ServerError`` (code 516)."""
        account = self._accounts.get(name or "default")
        if account is None or not self._matches(account, password):
            raise ServerError(
                AUTHENTICATION_FAILED,
                f"{name or 'default'}: Authentication failed: password is incorrect, or there is no user with such "
                "name. (AUTHENTICATION_FAILED)",
            )
        return account

    def _matches(self, account: Account, password: str) -> bool:
        if not account.password_hash:
            return True  # as in ClickHouse: whatever is given is not looked at
        digest = hmac.digest(self._pepper, f"{account.name}\0{password}".encode(), "sha256")
        if digest in self._known:
            return True
        cost, salt, key = _parts(account)
        with self._trying:
            right = hmac.compare_digest(_key(password, salt, cost), key)
        if right:
            self._known.add(digest)
        return right


def _parts(account: Account) -> tuple[int, bytes, bytes]:
    if not account.password_hash:
        return 0, b"", b""
    try:
        kind, cost, salt, key = account.password_hash.split(":")
        found = int(cost), base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
        if kind != "scrypt" or found[0] not in (1 << 14, 1 << 15, 1 << 16, 1 << 17) or len(found[2]) != _KEY_BYTES:
            raise ValueError
    except ValueError as error:
        raise ConfigError(
            f"password_hash of clickhouse account {account.name!r} is no hash; make one with "
            "gridbeacon clickhouse hash-password"
        ) from error
    return found


def _key(password: str, salt: bytes, cost: int) -> bytes:
    memory = 128 * _R * cost * 2
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=_R, p=_P, dklen=_KEY_BYTES, maxmem=memory)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
