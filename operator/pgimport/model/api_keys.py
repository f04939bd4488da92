"""API keys: what is asked and chance come in, a key and its entry go out; entries come in, a ring to look keys up in.

All keys are in one Secret, an entry each: its name is the key's public id, its value JSON with the SHA-256 of the
whole key. A key is 43 characters of chance, so a plain hash cannot be guessed and needs no salt (RFC 9106 is for
passwords that people choose).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import Field, ValidationError

from pgimport.model.api_caller import ApiScope, Caller
from pgimport.model.base_models import LenientModel
from pgimport.model.scalar_types import Time

API_KEYS_SECRET = "pgimport-api-keys"  # noqa: S105 (a Secret's name)
API_KEY_PREFIX = "capy_live_"
ID_BYTES, RANDOM_BYTES = 6, 32
_ID = re.compile(r"[0-9a-f]{12}")
_KEY = re.compile(r"capy_live_([0-9a-f]{12})_[0-9A-Za-z]{43}")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NOBODY = "0" * 64


class ApiKeyEntry(LenientModel):
    """What is kept of a key."""

    hash: str = Field(description="SHA-256 of the key's text, in hex.")
    name: str = Field(default="", description="For people.")
    organization: str = Field(description="organizationID of the Projects that it opens.")
    project: str | None = Field(default=None, description="Only this one of them.")
    scopes: tuple[ApiScope, ...] = Field(description="What it may be used for.")
    created_at: Time | None = Field(default=None, description="When it was made.")
    expires_at: Time | None = Field(default=None, description="From then on it opens nothing.")


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """`text` is shown once and kept nowhere."""

    id: str
    text: str = field(repr=False)
    entry: ApiKeyEntry


def build_api_key(
    chance: bytes,
    *,
    organization: str,
    project: str | None,
    scopes: tuple[ApiScope, ...],
    name: str,
    created_at: datetime,
    expires_at: datetime | None,
) -> NewApiKey:
    """`chance`: ID_BYTES + CHANCE_BYTES of it."""
    identity, secret = chance[:ID_BYTES].hex(), _to_base62(chance[ID_BYTES:])
    text = f"{API_KEY_PREFIX}{identity}_{secret}"
    entry = ApiKeyEntry(
        hash=hash_key(text),
        name=name,
        organization=organization,
        project=project,
        scopes=scopes,
        created_at=created_at,
        expires_at=expires_at,
    )
    return NewApiKey(identity, text, entry)


def is_api_key(text: str) -> bool:
    """Whether it looks like one."""
    return _KEY.fullmatch(text) is not None


def hash_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _to_base62(chance: bytes) -> str:
    number, letters = int.from_bytes(chance, "big"), ""
    for _ in range(43):
        number, rest = divmod(number, 62)
        letters += _LETTERS[rest]
    return letters


@dataclass(frozen=True, slots=True)
class ApiKeyRing:
    """All keys of one reading."""

    entries: Mapping[str, ApiKeyEntry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # entries that cannot be read: they open nothing

    def find(self, text: str, now: datetime) -> Caller | None:
        """In the same time whether the id is known or not: the id is public, the rest is compared as hashes."""
        match = _KEY.fullmatch(text)
        entry = self.entries.get(match[1]) if match else None
        same = hmac.compare_digest(hash_key(text[:200]), entry.hash if entry else _NOBODY)
        if entry is None or not same or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        assert match is not None  # noqa: S101 (an entry was found by it)
        return Caller(
            name=entry.name or match[1],
            organization=entry.organization,
            project=entry.project,
            scopes=frozenset(entry.scopes),
        )


def parse_api_keys(data: Mapping[str, bytes]) -> ApiKeyRing:
    """A broken entry opens nothing and is named."""
    entries, problems = {}, []
    for name, value in sorted(data.items()):
        try:
            if not _ID.fullmatch(name):
                raise ValueError("its name is no key's id")
            entries[name] = ApiKeyEntry.model_validate(json.loads(value))
        except (ValueError, ValidationError) as error:
            problems.append(f"entry {name}: {type(error).__name__}")
    return ApiKeyRing(entries, tuple(problems))


def format_entry(entry: ApiKeyEntry) -> bytes:
    return json.dumps(entry.to_json(), separators=(",", ":")).encode()
