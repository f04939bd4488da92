"""Creates API keys, and looks them up among the stored entries.

One Secret holds all keys. The name of an entry is the key's public ID, the value is JSON with the SHA-256 of the whole
key. A key contains 256 random bits, so its plain hash cannot be guessed and needs no salt. (RFC 9106 is about passwords
that people choose.)
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
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UNKNOWN_HASH = "0" * 64


class ApiKeyEntry(LenientModel):
    """Stored entry of a key. It does not contain the key itself."""

    hash: str = Field(description="The SHA-256 of the key's text, in hexadecimal.")
    name: str = Field(default="", description="A name by which people recognise the key.")
    organization: str = Field(description="The organizationID of the Projects that the key gives access to.")
    project: str | None = Field(default=None, description="The only Project that the key gives access to, if set.")
    scopes: tuple[ApiScope, ...] = Field(description="The rights of the key.")
    created_at: Time | None = Field(default=None, description="The time at which the key was created.")
    expires_at: Time | None = Field(default=None, description="The time from which the key is refused.")


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """New key. Its text is shown once and stored nowhere."""

    id: str
    text: str = field(repr=False)
    entry: ApiKeyEntry


def build_api_key(
    random_bytes: bytes,
    *,
    organization: str,
    project: str | None,
    scopes: tuple[ApiScope, ...],
    name: str,
    created_at: datetime,
    expires_at: datetime | None,
) -> NewApiKey:
    """Builds a key from ID_BYTES + RANDOM_BYTES random bytes."""
    identity, secret = random_bytes[:ID_BYTES].hex(), _to_base62(random_bytes[ID_BYTES:])
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
    """Says whether a text has the form of an API key."""
    return _KEY.fullmatch(text) is not None


def hash_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _to_base62(random_bytes: bytes) -> str:
    number, letters = int.from_bytes(random_bytes, "big"), ""
    for _ in range(43):
        number, rest = divmod(number, 62)
        letters += _BASE62[rest]
    return letters


@dataclass(frozen=True, slots=True)
class ApiKeyRing:
    """Stored keys, as they were read from the Secret."""

    entries: Mapping[str, ApiKeyEntry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # entries that cannot be parsed; no key matches them

    def find(self, text: str, now: datetime) -> Caller | None:
        """Returns the caller that a key belongs to, or None for an unknown or expired key.

        It takes the same time for known and unknown IDs, because it always compares hashes.
        """
        match = _KEY.fullmatch(text)
        entry = self.entries.get(match[1]) if match else None
        hashes_match = hmac.compare_digest(hash_key(text[:200]), entry.hash if entry else _UNKNOWN_HASH)
        if entry is None or not hashes_match or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        assert match is not None  # noqa: S101 (the entry was found by this ID)
        return Caller(
            name=entry.name or match[1],
            organization=entry.organization,
            project=entry.project,
            scopes=frozenset(entry.scopes),
        )


def parse_api_keys(data: Mapping[str, bytes]) -> ApiKeyRing:
    """Parses the entries of the Secret. An entry that cannot be parsed is listed in `problems`."""
    entries, problems = {}, []
    for name, value in sorted(data.items()):
        try:
            if not _ID.fullmatch(name):
                raise ValueError("its name is not the ID of a key")
            entries[name] = ApiKeyEntry.model_validate(json.loads(value))
        except (ValueError, ValidationError) as error:
            problems.append(f"entry {name}: {type(error).__name__}")
    return ApiKeyRing(entries, tuple(problems))


def format_entry(entry: ApiKeyEntry) -> bytes:
    return json.dumps(entry.to_json(), separators=(",", ":")).encode()
