"""Verification of Clerk's session tokens, with real keys and a real HTTPS server."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.https import HttpsServer, body, run_https_server

from pgimport.api.api_context import InvalidCredentials
from pgimport.api.clerk_tokens import OUTAGE_SECONDS, RETRY_SECONDS, ClerkSettings, ClerkVerifier
from pgimport.api.error_responses import ApiError
from pgimport.api.shared_read import FAILURE_SECONDS

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
PARTY = "https://app.example.com"


@dataclass
class Issuer:
    """Stands for Clerk: signs tokens and publishes its public keys over HTTPS."""

    https: HttpsServer
    keys: dict[str, RSAPrivateKey] = field(default_factory=dict)
    time: float = 0.0

    def publish(self, *names: str) -> None:
        jwks = []
        for name in names:
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[name].public_key()))
            jwks.append({**key, "kid": name, "use": "sig", "alg": "RS256"})
        self.https.answers["/jwks"] = body(json.dumps({"keys": jwks}).encode())

    def clerk(self, **more: Any) -> ClerkVerifier:
        settings = ClerkSettings(jwks_url=self.https.url("/jwks"), ca=str(self.https.ca), parties=(PARTY,), **more)
        return ClerkVerifier(settings, lambda: self.time)

    def sign(self, kid: str = "first", key_name: str | None = None, **changes: Any) -> str:
        claims = {
            "sub": "user_1",
            "azp": PARTY,
            "iss": "https://clerk.example.com",
            "exp": AT + 60,
            "nbf": AT - 10,
            "iat": AT - 10,
            "v": 2,
            "o": {"id": "acme", "rol": "admin", "slg": "acme"},
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys[key_name or kid], "RS256", {"kid": kid})


@pytest.fixture(scope="module")
def keys() -> dict[str, RSAPrivateKey]:
    return {name: generate_private_key(65537, 2048) for name in ("first", "second", "unknown")}


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with run_https_server(tmp_path_factory.mktemp("clerk"), "localhost") as server:
        yield server


@pytest.fixture
def issuer(https: HttpsServer, keys: dict[str, RSAPrivateKey]) -> Issuer:
    https.requests.clear()
    issuer = Issuer(https, keys)
    issuer.publish("first")
    return issuer


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="version 2"),
        pytest.param({"v": None, "o": None, "org_id": "acme", "org_role": "org:admin"}, id="version 1"),
        pytest.param({"exp": AT - 2}, id="within the leeway"),
    ],
)
def test_a_session_with_an_organization_is_accepted(issuer: Issuer, claims: dict[str, Any]) -> None:
    caller = issuer.clerk().verify(issuer.sign(**claims), NOW)
    assert (caller.name, caller.organization, caller.project) == ("user_1", "acme", None)


INVALID_CLAIMS = [
    ("expired", {"exp": AT - 30}, "expired"),
    ("not yet valid", {"nbf": AT + 30}, "not valid yet"),
    ("without an end", {"exp": None}, "is invalid"),
    ("without a beginning", {"nbf": None}, "is invalid"),
    ("an end that is a word", {"exp": "later"}, "is invalid"),
    ("of another application", {"azp": "https://evil.example.com"}, "another application"),
    ("of no application", {"azp": None}, "another application"),
    ("without an organization", {"o": None}, "no active organization"),
    ("an organization that is a list", {"o": ["acme"]}, "no active organization"),
    ("version 1's claim in version 2", {"o": None, "org_id": "acme"}, "no active organization"),
    ("without a person", {"sub": None}, "is invalid"),
]


@pytest.mark.parametrize(("claims", "words"), [pytest.param(*rest, id=name) for name, *rest in INVALID_CLAIMS])
def test_invalid_claims_are_refused(issuer: Issuer, claims: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidCredentials, match=words):
        issuer.clerk().verify(issuer.sign(**claims), NOW)


def _encode_part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_an_unsigned_token_is_refused(issuer: Issuer) -> None:
    payload = issuer.sign().split(".")[1]
    for name in ("none", "None", "NONE", ""):
        for signature in ("", "x"):
            with pytest.raises(InvalidCredentials):
                issuer.clerk().verify(
                    f"{_encode_part({'alg': name, 'typ': 'JWT', 'kid': 'first'})}.{payload}.{signature}", NOW
                )


def test_a_token_signed_with_the_public_key_as_secret_is_refused(issuer: Issuer) -> None:
    """Signs with HS256 and the text of the public key, the classic algorithm confusion (RFC 8725, 2.1)."""
    pem = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{_encode_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'first'})}.{issuer.sign().split('.')[1]}"
    signature = base64.urlsafe_b64encode(hmac.new(pem, text.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    for clerk in (issuer.clerk(), ClerkVerifier(ClerkSettings(pem=pem.decode()), lambda: 0.0)):
        with pytest.raises(InvalidCredentials):
            clerk.verify(f"{text}.{signature}", NOW)


def test_another_key_with_a_known_key_id_is_refused(issuer: Issuer) -> None:
    with pytest.raises(InvalidCredentials):
        issuer.clerk().verify(issuer.sign("first", key_name="unknown"), NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b.c.d", "ä.ö.ü", "." * 5000, "e30.e30.e30"])
def test_a_malformed_token_is_refused(issuer: Issuer, token: str) -> None:
    with pytest.raises(InvalidCredentials):
        issuer.clerk().verify(token, NOW)


def test_an_unknown_key_id_fetches_the_keys_again(issuer: Issuer) -> None:
    clerk = issuer.clerk()
    clerk.verify(issuer.sign(), NOW)
    issuer.publish("first", "second")
    with pytest.raises(InvalidCredentials):
        clerk.verify(issuer.sign("second"), NOW)
    assert len(issuer.https.requests) == 1
    issuer.time += RETRY_SECONDS + 1
    assert clerk.verify(issuer.sign("second"), NOW).name == "user_1"
    for _ in range(20):
        with pytest.raises(InvalidCredentials):
            clerk.verify(issuer.sign("unknown"), NOW)
    assert len(issuer.https.requests) == 2


def test_the_known_keys_stay_valid_for_a_day_while_clerk_does_not_answer(issuer: Issuer) -> None:
    clerk = issuer.clerk()
    clerk.verify(issuer.sign(), NOW)
    issuer.https.answers.clear()
    issuer.time = OUTAGE_SECONDS - 1
    assert clerk.verify(issuer.sign(), NOW).name == "user_1"
    issuer.time = OUTAGE_SECONDS + 1
    with pytest.raises(ApiError, match="cannot be fetched") as unavailable:
        clerk.verify(issuer.sign(), NOW)
    assert unavailable.value.status == 503


@pytest.mark.parametrize("answer", [None, b"no JSON", b'{"keys": []}'], ids=["no answer", "no JSON", "no keys"])
def test_a_session_is_not_refused_because_the_keys_could_not_be_fetched(issuer: Issuer, answer: bytes | None) -> None:
    issuer.https.answers.clear()
    if answer is not None:
        issuer.https.answers["/jwks"] = body(answer)
    clerk = issuer.clerk()
    with pytest.raises(ApiError) as unavailable:
        clerk.verify(issuer.sign(), NOW)
    assert (unavailable.value.status, unavailable.value.retry_after) == (503, 5)
    issuer.publish("first")
    issuer.time += FAILURE_SECONDS
    assert clerk.verify(issuer.sign(), NOW).name == "user_1"


def test_the_public_key_can_be_given_as_pem(issuer: Issuer) -> None:
    pem = issuer.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    clerk = ClerkVerifier(ClerkSettings(pem=pem, issuer="https://clerk.example.com"), lambda: 0.0)
    assert clerk.verify(issuer.sign(azp="anything"), NOW).organization == "acme"
    with pytest.raises(InvalidCredentials):
        clerk.verify(issuer.sign(iss="https://other.example.com"), NOW)
