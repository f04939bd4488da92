"""The cookie of a signed-in browser: the API key, sealed, with the time at which it ends. The server stores nothing."""

import base64
import binascii
import hashlib
import hmac
import os
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# A browser accepts this prefix only with Secure, Path=/ and without Domain (RFC 6265bis, 4.1.3.2).
COOKIE = "__Host-pgimport"
CLERK_COOKIE = "__session"  # in which Clerk's own script keeps the session token of a signed-in user
LIFETIME = timedelta(hours=12)
_NONCE_BYTES, _TIME_BYTES = 12, 8
_CONTEXT = b"pgimport page session"  # binds key and ciphertext to this use of the secret


def seal(credentials: str, secret: bytes, now: datetime) -> str:
    """Returns the cookie's value. It is valid until LIFETIME after `now`, in each replica that has the secret."""
    ends_at = int((now + LIFETIME).timestamp()).to_bytes(_TIME_BYTES, "big")
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_derive_key(secret)).encrypt(nonce, ends_at + credentials.encode(), _CONTEXT)
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(value: str, secret: bytes, now: datetime) -> str | None:
    """Returns the credentials of a cookie, or None if it is not ours or its time is over."""
    try:
        sealed = base64.urlsafe_b64decode(value.encode())
        text = AESGCM(_derive_key(secret)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT)
    except (InvalidTag, binascii.Error, ValueError):
        return None
    if now.timestamp() >= int.from_bytes(text[:_TIME_BYTES], "big"):
        return None
    return text[_TIME_BYTES:].decode()


def _derive_key(secret: bytes) -> bytes:
    return hmac.new(secret, _CONTEXT, hashlib.sha256).digest()
