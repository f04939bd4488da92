"""Judges whether an import brought everything that it should: the condition FullyImported."""

from collections.abc import Sequence

from pgimport.decide.conditions import ConditionSet, TypedCondition
from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Reason
from pgimport.model.result import SkippedObject
from pgimport.model.status import FULLY_IMPORTED, ConditionStatus, ImportStatus

NAMES_IN_A_MESSAGE = 5
NAME_LIMIT = 150  # characters


def judge_completeness(status: ImportStatus) -> TypedCondition | None:
    """Returns the condition FullyImported of a completed import. Returns None if the worker reported no counts."""
    if status.skipped is None or status.refused is None:
        return None
    by_design = status.skipped - status.refused
    also = f" {_count(by_design)} skipped by design." if by_design else ""
    if not status.refused:
        message = f"The target refused no object.{also}"
        return TypedCondition(FULLY_IMPORTED, ConditionStatus.TRUE, Reason.NOTHING_REFUSED, message)
    names = _name_first(status.skipped_objects, status.refused)
    message = f"{_count(status.refused)} skipped because of the target: {names}.{also}"
    return TypedCondition(FULLY_IMPORTED, ConditionStatus.FALSE, Reason.OBJECTS_REFUSED, message)


def _count(number: int) -> str:
    return "1 object is" if number == 1 else f"{number} objects are"


def _name_first(skipped: Sequence[SkippedObject], count: int) -> str:
    refused = [item for item in skipped if item.group is SkipGroup.REFUSED][:NAMES_IN_A_MESSAGE]
    names = [item.object[:NAME_LIMIT] + (f" ({item.rows} rows)" if item.rows else "") for item in refused]
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def with_completeness(conditions: ConditionSet, status: ImportStatus) -> ConditionSet:
    """Adds the condition FullyImported to those of a completed import."""
    condition = judge_completeness(status)
    return conditions.add(condition) if condition is not None else conditions
