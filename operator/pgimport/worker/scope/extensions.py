"""Splits a source's extensions into those that the target gets and those that are skipped. Pure."""

from collections.abc import Sequence

from pgimport.model.order import Order
from pgimport.model.providers import ProviderRules, find_provider_extensions
from pgimport.model.result import SkippedObject, SourceExtension

ALWAYS_THERE = "plpgsql"  # every new database has it


def split_extensions(
    order: Order, row: ProviderRules, extensions: Sequence[SourceExtension]
) -> tuple[list[SourceExtension], list[SkippedObject]]:
    """What the target shall have, and what stays at the provider."""
    wanted = set(order.allowed_extensions) & set(order.target.creatable_extensions)
    own = set(find_provider_extensions(row, [extension.name for extension in extensions], wanted))
    left = [SkippedObject(object=f"EXTENSION {name}", reason=f"it belongs to {row.title}") for name in sorted(own)]
    return [one for one in extensions if one.name not in own and one.name != ALWAYS_THERE], left
