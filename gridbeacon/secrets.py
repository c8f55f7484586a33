"""Webhook secrets as Standard Webhooks writes them."""

from base64 import b64decode

from gridbeacon.errors import ConfigError

PREFIX = "whsec_"
MIN_BYTES = 24
"""Standard Webhooks asks for 24 to 64 bytes: shorter keys can be guessed."""


def secret_bytes(text: str) -> bytes:
    """Return the key that a secret, ``whsec_`` and base64 of at least 24 bytes, stands for.

    Raises ``ConfigError`` that says what is wrong and never repeats the secret.

    >>> len(secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    24
    """
    if not text.startswith(PREFIX):
        raise ConfigError(f"a webhook secret must begin with {PREFIX!r}")
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ConfigError(f"what follows {PREFIX!r} in a webhook secret must be base64") from None
    if len(key) < MIN_BYTES:
        raise ConfigError(f"a webhook secret must hold at least {MIN_BYTES} bytes, this one has {len(key)}")
    return key
