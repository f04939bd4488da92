"""Checks which texts each string type accepts, and what the error says."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pgimport.model.string_types import (
    ExtensionName,
    HostName,
    HostPattern,
    NamePattern,
    NetworkAddress,
    ShortText,
    WebhookURL,
)

KINDS: dict[str, Any] = {
    "host": HostName,
    "hosts": HostPattern,
    "network": NetworkAddress,
    "extension": ExtensionName,
    "pattern": NamePattern,
    "text": ShortText,
    "webhook": WebhookURL,
}

VALID = [
    ("host", "pg"),
    ("host", "db.example.com"),
    ("host", "DB.example.com."),
    ("host", "10.0.0.5"),
    ("host", "fd00::5"),
    ("host", "::1"),
    ("host", "x" * 63),
    ("host", "my_db.local"),
    ("hosts", "db.example.com"),
    ("hosts", "*.example.com"),
    ("hosts", "10.0.0.5"),
    ("hosts", "fd00::5"),
    ("network", "10.0.0.0/8"),
    ("network", "10.0.0.1/8"),
    ("network", "192.0.2.1"),
    ("network", "fd00::/8"),
    ("extension", "uuid-ossp"),
    ("extension", "pg_trgm"),
    ("extension", "x"),
    ("pattern", 'public."odd\nname"'),
    ("pattern", "app_*"),
    ("webhook", "https://hooks.example.com"),
    ("webhook", "https://hooks.example.com:8443/a/b?token=%2F&x=[1]"),
    ("webhook", "https://10.0.0.5/"),
    ("webhook", "https://[fd00::5]:8443?x"),
    ("text", "Größe 42"),
    ("text", "/a,b"),
]
INVALID = [
    ("webhook", "http://hooks.example.com/", "no https URL"),
    ("webhook", "https://user:secret@hooks.example.com/", "no https URL"),
    ("webhook", "https://hooks.example.com/a b", "no https URL"),
    ("webhook", "https://hooks.example.com/a\r\nX-Other: 1", "no https URL"),
    ("webhook", "https://hooks.example.com/a#b", "no https URL"),
    ("webhook", "https://hooks.example.com\\@other.example.com/", "no https URL"),
    ("webhook", "https:///path", "no https URL"),
    ("host", "/var/run/postgresql", "no host"),
    ("host", "one,two", "no host"),
    ("host", "a b", "no host"),
    ("host", "user@host", "no host"),
    ("host", "x" * 64, "no host"),
    ("host", "a..b", "no host"),
    ("host", "-a", "no host"),
    ("host", "*.example.com", "no host"),
    ("host", "db\n", "no host"),
    ("hosts", "*", "no host name"),
    ("hosts", "https://db.example.com", "no host name"),
    ("hosts", "a,b", "no host"),
    ("network", "nonsense", "no network"),
    ("network", "10.0.0.0/33", "no network"),
    ("network", "", "no network"),
    ("extension", "a\x00b", "pattern"),
    ("extension", "-x", "pattern"),
    ("extension", "x" * 64, "63"),
    ("pattern", "a\x00b", "pattern"),
    ("text", "a\x00b", "pattern"),
    ("text", "a\nb", "pattern"),
    ("text", "", "1"),
]


@pytest.mark.parametrize(("kind", "value"), VALID)
def test_a_valid_text_is_accepted(kind: str, value: str) -> None:
    assert TypeAdapter[str](KINDS[kind]).validate_python(value) == value


@pytest.mark.parametrize(("kind", "value", "words"), INVALID)
def test_an_invalid_text_is_refused_with_the_rule(kind: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter[str](KINDS[kind]).validate_python(value)
