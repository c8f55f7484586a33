"""Who may do what: the file of tokens, the four roles, and the cookie that a browser gets for its token.

A token is 32 random bytes, so its SHA-256 can't be guessed back. The file holds hashes alone; it is read again when it
changes, so that a token that is taken out ends at once, sessions made with it included.
"""

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gridbeacon.errors import ConfigError
from gridbeacon.reasons import Role

PREFIX = "gbt_"
LOCAL = "local"
"""Name of whoever uses a board on loopback that asks for no token."""
_MAX_TEXT = 512


ROLES: dict[str, Role] = {str(role): role for role in Role}


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file: whose it is, what it permits, the SHA-256 of the token, and when it ends (RFC 3339)."""

    name: str
    role: str
    sha256: str
    expires: datetime


class TokenFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file: ``session_key`` (base64) signs the cookies of browsers."""

    session_key: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a name for the audit, a role, and the key that limits how often (``client``)."""

    name: str
    role: Role
    client: str = ""


class Refusal(Exception):
    """Somebody may not come in; the text says what to do."""


class Doorkeeper:
    """Knows the tokens of one file; without a file everybody is ``local``, with every right."""

    def __init__(self, file: Path | None, session_secs: float) -> None:
        self._file = file
        self._session_secs = session_secs
        self._stamp: tuple[int, int] | None = None
        self._known = TokenFile(session_key=urlsafe_b64encode(secrets.token_bytes(32)).decode())
        if file is not None:
            self._read()

    @property
    def asks(self) -> bool:
        """Whether a token is needed."""
        return self._file is not None

    def of_token(self, text: str) -> Viewer:
        """Return who a token stands for. Raises ``Refusal``."""
        token = self._find(text)
        if token is None:
            raise Refusal("this token is not known; ask your administrator for a new one (gridbeacon api token)")
        return self._of(token)

    def session_of(self, text: str) -> str:
        """Return the value of the cookie that a browser gets for a token. Raises ``Refusal``."""
        self.of_token(text)
        token = self._find(text)
        assert token is not None  # noqa: S101 - of_token has found it
        until = min(time.time() + self._session_secs, token.expires.timestamp())
        said = f"{token.sha256[:16]}.{int(until)}"
        return f"{said}.{self.sign('session', said)}"

    def of_session(self, cookie: str) -> Viewer:
        """Return who a session's cookie stands for. Raises ``Refusal``."""
        self._read()
        said, _, signature = cookie[:_MAX_TEXT].rpartition(".")
        begin, _, until = said.partition(".")
        if not hmac.compare_digest(signature.encode(), self.sign("session", said).encode()) or not until.isdigit():
            raise Refusal("your session is not known any more; log in again")
        token = next((one for one in self._known.tokens if one.sha256.startswith(begin)), None)
        if token is None or int(until) <= time.time():
            raise Refusal("your session has ended; log in again")
        return self._of(token)

    def sign(self, purpose: str, text: str) -> str:
        """Return the signature of a text for one purpose."""
        key = urlsafe_b64decode(self._known.session_key)
        return hmac.new(key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()

    def _find(self, text: str) -> Token | None:
        self._read()
        asked = hash_of(text[:_MAX_TEXT])
        found = None
        for token in self._known.tokens:  # all of them, always: the time tells nothing
            if hmac.compare_digest(token.sha256.encode(), asked.encode()):
                found = token
        return found

    @staticmethod
    def _of(token: Token) -> Viewer:
        if token.expires <= datetime.now(UTC):
            ended = token.expires.strftime("%Y-%m-%d")
            raise Refusal(f"the token of {token.name} ended on {ended}; ask your administrator for a new one")
        return Viewer(token.name, ROLES[token.role], f"token:{token.sha256[:16]}")

    def _read(self) -> None:
        if self._file is None:
            return
        try:
            stat = self._file.stat()
        except OSError:
            if self._stamp is None:
                read(self._file)  # says what is wrong
            return  # it is being replaced: what was known holds until the new one is there
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            try:
                self._known, self._stamp = read(self._file), stamp
            except ConfigError:
                if self._stamp is None:
                    raise


def hash_of(token: str) -> str:
    """Return the SHA-256 of a token, as the file holds it.

    >>> hash_of("gbt_x")[:8]
    'd1565373'
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def read(file: Path) -> TokenFile:
    """Return the tokens of a file. Raises ``ConfigError`` that names the mistake and never a hash."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=TokenFile)
    except OSError as error:
        raise ConfigError(
            f"api.tokens_file {file} can't be read ({error.strerror}); make one with: gridbeacon api token NAME ROLE"
        ) from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{file}: {error}; make tokens with: gridbeacon api token NAME ROLE") from error
    for number, token in enumerate(found.tokens):
        if token.role not in ROLES:
            raise ConfigError(f"{file}: tokens[{number}].role {token.role!r} is none; choose of: {', '.join(ROLES)}")
        if token.expires.tzinfo is None:
            raise ConfigError(f"{file}: tokens[{number}].expires needs a zone; write it with Z")
        if len(token.sha256) != 64:
            raise ConfigError(f"{file}: tokens[{number}].sha256 is no SHA-256; make it with: gridbeacon api token")
    return found


def add(file: Path, name: str, role: str, expires: datetime) -> str:
    """Write one more token to a file, made when there is none, readable by its owner alone; return the token.

    A name's earlier token ends with it. Raises ``ConfigError`` when the file can't be read or written.
    """
    known = read(file) if file.exists() else TokenFile(session_key=urlsafe_b64encode(secrets.token_bytes(32)).decode())
    token = PREFIX + secrets.token_urlsafe(32)
    mine = Token(name=name, role=role, sha256=hash_of(token), expires=expires)
    tokens = (*(one for one in known.tokens if one.name != name), mine)
    new = file.with_name(file.name + ".new")
    try:
        new.touch(mode=0o600)
        new.write_bytes(msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(known, tokens=tokens))))
        new.replace(file)
    except OSError as error:
        raise ConfigError(f"{file} can't be written ({error.strerror}); name another file") from error
    return token
