"""Shared state of the steps that create the objects of one archive."""

from dataclasses import dataclass, field

from pgimport.model.import_choices import OnObjectError, SkipGroup
from pgimport.model.import_report import describe_refusal
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.restore_plan import ConstraintName, RestorePlan
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.engines.definitions.statements import ArchiveSettings, build_statement
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.refusals import Refusal
from pgimport.worker.report.reporter import Reporter


@dataclass(frozen=True, slots=True)
class DefinitionContext:
    """The plan of a restore, which refusals change, and how to read the archive's definitions."""

    plan: RestorePlan
    settings: ArchiveSettings
    reporter: Reporter
    on_object_error: OnObjectError = OnObjectError.SKIP
    shows_values: bool = True  # whether an error may contain values of rows
    # CHECKs of domains that were dropped while rows were copied → error of the row that violates it.
    violations: dict[ConstraintName, Refusal] = field(default_factory=dict)

    def build_statement(self, entry: TocEntry) -> str:
        return build_statement(entry, self.plan.definition_of(entry), self.settings)

    def report_refusal(self, title: str, refusal: Refusal) -> None:
        """Logs a refusal without values of rows. Raises ImportStopped if a refusal ends the import."""
        skipped = SkippedObject(
            object=title,
            reason=refusal.reason,
            group=SkipGroup.REFUSED,
            sqlstate=refusal.sqlstate,
            offending_key=refusal.key,
        )
        self.stop_at(skipped)
        self.reporter.log(describe_refusal(skipped, with_values=False), "warning")

    def stop_at(self, skipped: SkippedObject) -> None:
        """Raises ImportStopped if this object ends the import."""
        if self.on_object_error is OnObjectError.FAIL and skipped.group is SkipGroup.REFUSED:
            message = describe_refusal(skipped, with_values=self.shows_values)
            raise ImportStopped(Failure(Reason.RESTORE_FAILED, message))
