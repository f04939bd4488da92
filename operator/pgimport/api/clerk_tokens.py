"""Verifies Clerk's session tokens.

Only the algorithm RS256 is accepted. Keys come from a JWKS URL or from one PEM file. The organization is the token's
active one: the claim `org_id` in version 1 of the claims, `o.id` in version 2 (Clerk's documentation, "Session
tokens").
"""

import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from jwt.types import Options

from pgimport.api.api_context import InvalidCredentials
from pgimport.api.error_responses import RETRY_SECONDS as ERROR_SECONDS
from pgimport.api.error_responses import ApiError
from pgimport.api.shared_read import SharedRead
from pgimport.model.api_caller import Caller

ALGORITHM = "RS256"
LEEWAY_SECONDS = 5  # allowed difference between Clerk's clock and ours
FETCH_SECONDS = 5.0  # timeout of the JWKS request
RETRY_SECONDS = 10.0  # between two requests for an unknown key
MAX_AGE_SECONDS = 3600.0  # of the fetched keys
OUTAGE_SECONDS = 24 * 3600.0  # the same while Clerk does not answer; then no session is accepted
MAX_JWKS_BYTES = 256 * 1024
_OPTIONS: Options = {
    "require": ["exp", "nbf", "sub"],
    "verify_exp": False,  # _check_times uses the clock of the request
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}
_INVALID = "the session token is invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkSettings:
    """Which tokens are accepted. Exactly one of `jwks_url` and `pem` is set."""

    jwks_url: str | None = None
    pem: str | None = None
    parties: tuple[str, ...] = ()  # allowed values of `azp`; if empty, all
    issuer: str | None = None
    ca: str | None = None  # file with the CA of the JWKS server


class ClerkVerifier:
    """Verifies tokens and caches Clerk's public keys. Can be shared between threads."""

    def __init__(self, settings: ClerkSettings, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._keys: SharedRead[dict[str, jwt.PyJWK]] = SharedRead("public keys of Clerk", self._fetch_keys, {}, clock)

    def verify(self, token: str, now: datetime) -> Caller:
        """Returns the caller, who belongs to the token's active organization.

        The caller has all scopes, whatever the user's role in Clerk is. Raises InvalidCredentials, or ApiError 503 if
        Clerk's keys could not be fetched and may contain the token's key.
        """
        try:
            claims = jwt.decode(
                token,
                self._find_key(token),
                algorithms=[ALGORITHM],
                issuer=self._settings.issuer,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError):
            raise InvalidCredentials(_INVALID) from None
        _check_times(claims, now.timestamp())
        if self._settings.parties and claims.get("azp") not in self._settings.parties:
            raise InvalidCredentials("the session token was issued for another application (azp)")
        organization = _organization_of(claims)
        if not organization:
            raise InvalidCredentials("the session has no active organization; choose one and try again")
        return Caller(name=str(claims["sub"]), organization=organization)

    def _find_key(self, token: str) -> Any:
        """Returns the public key that the token names. Raises ValueError, and ApiError 503."""
        if self._settings.pem is not None:
            return self._settings.pem
        key_id, now = jwt.get_unverified_header(token).get("kid"), self._clock()
        # Keys that are known need no wait: the next fetch runs while they are used.
        known = self._keys.refresh(now - MAX_AGE_SECONDS, 0.0)
        if key_id not in known.value:
            known = self._keys.refresh(now - RETRY_SECONDS, FETCH_SECONDS)
        if now - known.began_at > OUTAGE_SECONDS or (
            key_id not in known.value and now - known.began_at > RETRY_SECONDS
        ):
            raise ApiError(503, "the keys that sign sessions cannot be fetched from Clerk; try again", ERROR_SECONDS)
        if key_id not in known.value:
            raise ValueError("the token's key is unknown")
        return known.value[key_id]

    def _fetch_keys(self) -> dict[str, jwt.PyJWK]:
        """Fetches the JWKS. Raises ValueError if it has no usable key, and what the fetch and the parser raise."""
        url = self._settings.jwks_url or ""
        context = ssl.create_default_context(cafile=self._settings.ca)
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS, context=context) as response:  # noqa: S310 (https)
            jwks = json.loads(response.read(MAX_JWKS_BYTES))["keys"]
        keys = {key["kid"]: jwt.PyJWK(key, algorithm=ALGORITHM) for key in jwks if key.get("kty") == "RSA"}
        if not keys:
            raise ValueError("the JWKS has no RSA key")
        return keys


def _check_times(claims: dict[str, Any], now: float) -> None:
    """Raises InvalidCredentials unless the token is valid at `now`, the time of the request."""
    not_before, expiry = claims["nbf"], claims["exp"]
    if not isinstance(not_before, int | float) or not isinstance(expiry, int | float):
        raise InvalidCredentials(_INVALID)
    if expiry + LEEWAY_SECONDS <= now:
        raise InvalidCredentials("the session token has expired")
    if not_before - LEEWAY_SECONDS > now:
        raise InvalidCredentials("the session token is not valid yet")


def _organization_of(claims: dict[str, Any]) -> str | None:
    if claims.get("v") == 2:
        active = claims.get("o")
        organization = active.get("id") if isinstance(active, dict) else None
    else:
        organization = claims.get("org_id")
    return organization if isinstance(organization, str) else None
