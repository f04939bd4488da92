"""Detects which provider a source comes from, and which schemas of it are the provider's own. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.order import Order
from pgimport.model.provider_rules import ProviderFingerprint, ProviderRules
from pgimport.model.providers import ALL_FINGERPRINTS, find_provider, find_provider_schemas

# Parameters of sql/scope/provider_signs.sql.
SIGN_PARAMETERS = {"settings": sorted(ALL_FINGERPRINTS.settings)}


@dataclass(frozen=True, slots=True)
class DetectedProvider:
    """The provider's rules, all schemas of the source, and those of them that belong to the provider."""

    rules: ProviderRules
    schemas: list[str]
    own_schemas: list[str]


def detect_provider(
    order: Order, host: str, sign_rows: Iterable[tuple[str, str]], extensions: Iterable[str]
) -> DetectedProvider:
    """Detects the provider, unless the order names it. `sign_rows`: (kind, name) as provider_signs.sql returns them."""
    names: dict[str, list[str]] = {"schema": [], "setting": []}
    for kind, name in sign_rows:
        names[kind].append(name)
    fingerprint = ProviderFingerprint(
        schemas=frozenset(names["schema"]),
        extensions=frozenset(extensions),
        settings=frozenset(names["setting"]),
    )
    rules = find_provider(host, fingerprint, order.provider)
    return DetectedProvider(rules, names["schema"], find_provider_schemas(rules, names["schema"]))


def detect_file_provider(order: Order, schemas: Iterable[str], extensions: Iterable[str]) -> ProviderRules:
    """Detects the provider of a dump file by its content, unless the order names it. A file has no host."""
    fingerprint = ProviderFingerprint(schemas=frozenset(schemas), extensions=frozenset(extensions))
    return find_provider(None, fingerprint, order.provider)
