"""Splits a source's extensions into those that the target gets and those that are skipped. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pgimport.model.order import Order
from pgimport.model.provider_rules import UNKNOWN, ProviderRules
from pgimport.model.providers import find_provider_extensions
from pgimport.model.result import SkippedObject, SourceExtension
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.scope.extension_needs import ExtensionNeeds
from pgimport.worker.scope.extension_rules import (
    LEADS_ELSEWHERE,
    WITHOUT_USE_IN_A_COPY,
    is_dispensable,
    is_foreign_data_wrapper,
)
from pgimport.worker.scope.patterns import EXCLUDED_EXTENSION, compile_patterns

ALWAYS_THERE = "plpgsql"  # every new database has it
NOTHING_NEEDS_IT = "nothing in the database needs it"
NOTHING_BEFORE_ROWS = "nothing in front of the dump's first rows needs it"


@dataclass(frozen=True, slots=True)
class ExtensionSplit:
    """The extensions that the target gets, and those that are skipped, each with the reason."""

    imported: list[SourceExtension] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    # Skipped ones that everything that depends on them follows. What needs another one is tried at the target.
    roots: frozenset[str] = frozenset()
    unavailable: frozenset[str] = frozenset()  # skipped ones, no roots, that something needs: that counts as refused
    dependents: dict[str, list[str]] = field(default_factory=dict)  # imported extension → objects that need it

    @property
    def skipped_objects(self) -> list[SkippedObject]:
        return [SkippedObject(object=f"EXTENSION {name}", reason=reason) for name, reason in self.skipped.items()]


@dataclass(frozen=True, slots=True)
class ExtensionContext:
    """What decides about the extensions of a source.

    Without `needs`, as for plain SQL, each extension counts as needed. `shadow` is known after the gate.
    """

    order: Order
    provider: ProviderRules = UNKNOWN
    needs: ExtensionNeeds | None = None
    shadow: ShadowState | None = None


def split_extensions(context: ExtensionContext, extensions: Sequence[SourceExtension]) -> ExtensionSplit:
    """Decides about each extension of a source."""
    order = context.order
    creatable = set(order.allowed_extensions) & set(order.target.creatable_extensions)
    names = [item.name for item in extensions if item.name != ALWAYS_THERE]
    of_provider = set(find_provider_extensions(context.provider, names, creatable))
    is_excluded = compile_patterns(order.filter.exclude_extensions if order.filter is not None else ())
    skipped: dict[str, str] = {}
    imported: list[SourceExtension] = []
    dependents: dict[str, list[str]] = {}
    roots: set[str] = set()
    unavailable: set[str] = set()
    for item in sorted((item for item in extensions if item.name != ALWAYS_THERE), key=lambda item: item.name):
        needed_by = None if context.needs is None else context.needs.find_dependents(item.name)
        reason = _find_own_reason(item.name, context, of_provider, is_excluded)
        if reason is not None and not is_excluded(item.name):
            roots.add(item.name)
        if item.name not in roots and needed_by != []:
            unavailable.add(item.name)
        reason = reason or _find_reason(item.name, needed_by, context)
        if reason is not None:
            skipped[item.name] = reason
            continue
        required = needed_by != [] and not is_dispensable(item.name)
        imported.append(item.model_copy(update={"required": required}))
        dependents[item.name] = needed_by or []
    return ExtensionSplit(imported, skipped, frozenset(roots), frozenset(unavailable & skipped.keys()), dependents)


def _find_own_reason(
    name: str, context: ExtensionContext, of_provider: set[str], is_excluded: Callable[[str], bool]
) -> str | None:
    """Returns the reason to skip an extension whatever needs it, or None."""
    if is_excluded(name):
        return EXCLUDED_EXTENSION
    if name in of_provider:
        return f"it belongs to {context.provider.title}"
    return LEADS_ELSEWHERE if is_foreign_data_wrapper(name) else None


def _find_reason(name: str, needed_by: list[str] | None, context: ExtensionContext) -> str | None:
    """Returns the reason to skip an extension that the target could get, or None."""
    order, shadow = context.order, context.shadow
    is_partial = context.needs is not None and context.needs.is_partial
    nothing = f"{NOTHING_BEFORE_ROWS if is_partial else NOTHING_NEEDS_IT}, and " if needed_by == [] else ""
    if name in WITHOUT_USE_IN_A_COPY and not needed_by:
        return WITHOUT_USE_IN_A_COPY[name]
    if shadow is not None:
        if name in shadow.extensions:
            return None
        refusal = shadow.find_refusal(name)
        return nothing + (refusal.message if refusal is not None else "the target database does not have it")
    if needed_by != [] and not is_dispensable(name):
        return None
    if name not in order.allowed_extensions:
        return f"{nothing}the Project does not allow it"
    if not is_available(order, name):
        return f"{nothing}the target server does not have it"
    return None


def is_available(order: Order, name: str) -> bool:
    """Says whether the target server has an extension. An older operator does not tell all that it has."""
    available = order.target.available_extensions
    return name in (order.target.creatable_extensions if available is None else available)
