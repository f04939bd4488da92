"""Describes what an engine for live sources has copied."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.engines.definitions.restore import DefinitionRestore


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSteps:
    """Callbacks, each of which an engine calls exactly once. Both raise ImportStopped."""

    read_definitions: Callable[[], None]  # runs beside pg_dump, in a thread: both mostly wait for the source's answers
    release: Callable[[], None]  # after the source's last row was read


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyResult:
    """What is in the shadow after an engine has finished."""

    plan: RestorePlan
    restore: DefinitionRestore | None = None  # creates policies later; None before the copy
    notes: list[str] = field(default_factory=list)
    row_counts: dict[int, int] = field(default_factory=dict)  # oid of a table → rows that the source sent
    analyzed: frozenset[tuple[str, str]] = frozenset()  # schema and name of tables with fresh statistics
