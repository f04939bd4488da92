"""Clerk's session tokens: a token comes in, the caller that it names goes out.

RS256 and nothing else. Keys come from a JWKS URL, or one as PEM. The organisation is the token's active one, which
version 1 of the claims calls `org_id`, and version 2 `o.id` (Clerk's documentation, "Session tokens").
"""

import json
import logging
import ssl
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from pgimport.api.api_context import InvalidCredentials
from pgimport.model.api_caller import Caller

ALGORITHM = "RS256"
LEEWAY_SECONDS = 5  # between Clerk's clock and ours
FETCH_SECONDS = 5.0
AGAIN_SECONDS = 10.0  # between two fetches for keys that nobody knows
FRESH_SECONDS = 3600.0
MAX_KEYS_BYTES = 256 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkSettings:
    """Whose tokens count: exactly one of `jwks_url` and `pem`."""

    jwks_url: str | None = None
    pem: str | None = None
    parties: tuple[str, ...] = ()  # allowed values of `azp`; all where empty
    issuer: str | None = None
    ca: str | None = None  # file; of the JWKS URL's server


class ClerkVerifier:
    """Safe to share between threads."""

    def __init__(self, settings: ClerkSettings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -1e9
        self._lock = threading.Lock()

    def verify(self, token: str, now: datetime) -> Caller:
        """A person of the active organisation, with all scopes: roles are the platform's. Raises InvalidCredentials."""
        try:
            claims = jwt.decode(
                token, self._find_key(token), algorithms=[ALGORITHM], issuer=self._settings.issuer,
                options={"require": ["exp", "nbf", "sub"], "verify_exp": False, "verify_nbf": False,
                         "verify_iat": False, "verify_aud": False},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError):
            raise InvalidCredentials("the session token is not one of ours") from None
        self._judge_times(claims, now.timestamp())
        if self._settings.parties and claims.get("azp") not in self._settings.parties:
            raise InvalidCredentials("the session token was made for another application (azp)")
        organization = _organization_of(claims)
        if not organization:
            raise InvalidCredentials("the session has no active organization: choose one and try again")
        return Caller(name=str(claims["sub"]), organization=organization)

    def _judge_times(self, claims: dict[str, Any], now: float) -> None:
        """Against the clock that the rest of a request is judged by."""
        begin, end = claims["nbf"], claims["exp"]
        if not all(isinstance(one, int | float) for one in (begin, end)):
            raise InvalidCredentials("the session token is not one of ours")
        if end + LEEWAY_SECONDS <= now:
            raise InvalidCredentials("the session token has expired")
        if begin - LEEWAY_SECONDS > now:
            raise InvalidCredentials("the session token is not valid yet")

    def _find_key(self, token: str) -> Any:
        if self._settings.pem is not None:
            return self._settings.pem
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        with self._lock:
            age = self._clock() - self._fetched_at
            if age > FRESH_SECONDS or (kid not in self._keys and age > AGAIN_SECONDS):
                self._fetched_at = self._clock()
                self._keys = self._fetch() or self._keys
            found = self._keys.get(str(kid))
        if found is None:
            raise ValueError("its key is not known")
        return found

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        """None of them where they cannot be had: the known ones stay."""
        url = self._settings.jwks_url or ""
        try:
            context = ssl.create_default_context(cafile=self._settings.ca)
            with urllib.request.urlopen(url, timeout=FETCH_SECONDS, context=context) as answer:  # noqa: S310 (https)
                listed = json.loads(answer.read(MAX_KEYS_BYTES))["keys"]
            return {one["kid"]: jwt.PyJWK(one, algorithm=ALGORITHM) for one in listed if one.get("kty") == "RSA"}
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            _log.warning("Clerk's keys cannot be fetched: %s", type(error).__name__)
            return {}


def _organization_of(claims: dict[str, Any]) -> str | None:
    if claims.get("v") == 2:
        active = claims.get("o")
        found = active.get("id") if isinstance(active, dict) else None
    else:
        found = claims.get("org_id")
    return found if isinstance(found, str) else None
