"""Splits a source's extensions into those that the target gets and those that are skipped. Pure."""

from collections.abc import Sequence

from pgimport.model.order import Order
from pgimport.model.provider_rules import ProviderRules
from pgimport.model.providers import find_provider_extensions
from pgimport.model.result import SkippedObject, SourceExtension

ALWAYS_THERE = "plpgsql"  # every new database has it


def split_extensions(
    order: Order, provider: ProviderRules, extensions: Sequence[SourceExtension]
) -> tuple[list[SourceExtension], list[SkippedObject]]:
    """Returns the extensions that the target gets, and those that belong to the provider and are skipped."""
    creatable = set(order.allowed_extensions) & set(order.target.creatable_extensions)
    provider_names = set(find_provider_extensions(provider, [item.name for item in extensions], creatable))
    skipped = [
        SkippedObject(object=f"EXTENSION {name}", reason=f"it belongs to {provider.title}")
        for name in sorted(provider_names)
    ]
    return [item for item in extensions if item.name not in provider_names and item.name != ALWAYS_THERE], skipped
