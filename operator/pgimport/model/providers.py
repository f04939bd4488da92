"""Detects a source's provider, its own objects and its poolers by the rules of `provider_rules.py`. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.import_choices import Provider
from pgimport.model.provider_rules import PROVIDERS, UNKNOWN, ProviderFingerprint, ProviderRules

ALL_FINGERPRINTS = ProviderFingerprint(
    schemas=frozenset(name for row in PROVIDERS for name in row.fingerprint.schemas),
    extensions=frozenset(name for row in PROVIDERS for name in row.fingerprint.extensions),
    settings=frozenset(name for row in PROVIDERS for name in row.fingerprint.settings),
)


def find_provider(
    host: str | None, fingerprint: ProviderFingerprint | None = None, choice: Provider = Provider.AUTO
) -> ProviderRules:
    """Returns the user's choice, else the provider detected by the catalogs, else by the host name."""
    if choice is not Provider.AUTO:
        return next((row for row in PROVIDERS if row.provider is choice), UNKNOWN)
    if fingerprint is not None and (
        provider := next((row for row in PROVIDERS if row.fingerprint.intersects(fingerprint)), None)
    ):
        return provider
    return next((row for row in PROVIDERS if host is not None and _matches(row.hosts, host)), UNKNOWN)


def find_provider_schemas(row: ProviderRules, present: Iterable[str]) -> list[str]:
    """Returns which of the present schemas are the provider's own. An import skips them and all objects in them."""
    return sorted(row.schemas.intersection(present))


def find_provider_extensions(row: ProviderRules, present: Iterable[str], required: Iterable[str] = ()) -> list[str]:
    """Returns which of the present extensions are the provider's own, except those that the target must have."""
    return sorted(row.extensions.intersection(present).difference(required))


@dataclass(frozen=True, slots=True)
class PoolerMatch:
    """Pooler that was recognised by its address, and what to use instead."""

    title: str
    mode: str
    instead: str


def find_pooler(host: str, port: int) -> PoolerMatch | None:
    """Returns the pooler at an address, or None. The host name decides, whatever the provider of the import is."""
    name = _normalise(host)
    for row in PROVIDERS:
        for pooler in row.poolers:
            match = re.fullmatch(pooler.host, name)
            if match is not None and pooler.port in (None, port):
                return PoolerMatch(row.title, pooler.mode, match.expand(pooler.instead))
    return None


def find_host_hint(host: str) -> str | None:
    """Returns what to do if a host of this provider cannot be reached."""
    return find_provider(host).hint


def _matches(patterns: Iterable[str], host: str) -> bool:
    return any(re.fullmatch(pattern, _normalise(host)) for pattern in patterns)


def _normalise(host: str) -> str:
    return host.lower().rstrip(".")
