"""Identifies the request that creates an object. Pure."""

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOrigin:
    """Who sent a request, its id, and a keyed hash of its body if it has an Idempotency-Key."""

    request_id: str
    caller: str
    body_hmac: str = ""


def sign_body(secret: bytes, body: str) -> str:
    """Computes the HMAC of a body. The body may hold a password, which could be guessed from a plain hash."""
    return hmac.new(secret, body.encode(), hashlib.sha256).hexdigest()
