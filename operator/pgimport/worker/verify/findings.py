"""Collects what the steps of a verification find."""

from dataclasses import dataclass, field

from pgimport.model.import_choices import Verify
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import ComparedObjects, SkippedObject, TableDifference, Verification

DIFFERENCES_IN_A_MESSAGE = 3


@dataclass
class Findings:
    """Collects the result of a verification. What could not be compared never counts as equal."""

    mode: Verify = Verify.COUNTS
    tables: int = 0
    rows: int = 0
    large_objects: int = 0
    sequences: int = 0
    unequal_tables: list[TableDifference] = field(default_factory=list)
    other_differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[SkippedObject] = field(default_factory=list)  # of all steps, in any order
    compared: dict[str, int] = field(default_factory=dict)  # kind of object → how many were compared
    not_compared: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """True if nothing differs."""
        return not self.unequal_tables and not self.other_differences

    def to_verification(self) -> Verification:
        return Verification(
            mode=self.mode.value,
            tables=self.tables,
            rows=self.rows,
            large_objects=self.large_objects,
            sequences=self.sequences,
            differences=self.unequal_tables,
            notes=[*self.other_differences, *self.notes],
            verified=self.equal,
            compared=[ComparedObjects(kind=kind, count=count) for kind, count in sorted(self.compared.items())],
            not_compared=self.not_compared,
        )

    def to_failure(self) -> Failure:
        differences = [_describe(table) for table in self.unequal_tables] + self.other_differences
        remaining = len(differences) - DIFFERENCES_IN_A_MESSAGE
        more = f"; and {remaining} more" if remaining > 0 else ""
        return Failure(
            Reason.VERIFICATION_FAILED,
            f"the copy differs from its source: {'; '.join(differences[:DIFFERENCES_IN_A_MESSAGE])}{more}",
        )


def build_unverified(notes: list[str]) -> Verification:
    """Returns the result for `verify: none`."""
    cause = "spec.verify is none"
    return Verification(
        mode=Verify.NONE.value,
        notes=[f"not verified: {cause}", *notes],
        not_compared=[f"anything: {cause}"],
        verified=False,
    )


def _describe(difference: TableDifference) -> str:
    table, source_rows, target_rows = difference.table, difference.source_rows, difference.target_rows
    if source_rows == target_rows:
        return f"{table} has {_format_rows(source_rows)} on both sides, but not the same ones"
    return f"{table} has {_format_rows(source_rows)} at the source and {_format_rows(target_rows)} in the copy"


def _format_rows(count: int | None) -> str:
    return "no such table" if count is None else f"{count} rows"
