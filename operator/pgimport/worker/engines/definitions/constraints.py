"""Creates a constraint as NOT VALID if the source's own rows violate it, and finds the key of such a row."""

from dataclasses import dataclass, replace

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.archive.entry_names import part_title
from pgimport.worker.archive.restore_plan import ConstraintName, RestorePlan, SkippedEntry
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import TABLE, TablePart, build_addition, build_check_additions, build_not_valid
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.definitions.statements import build_statement
from pgimport.worker.engines.definitions.violated_checks import read_violating_key
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.refusals import Refusal, is_violation

_CONFLICT_WITH_PARTITION = "42P17"
_CONSTRAINT_KINDS = frozenset({"FK CONSTRAINT", "CHECK CONSTRAINT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A foreign key or CHECK of the archive, which can be NOT VALID."""

    entry: TocEntry  # its own entry, or that of its table or domain
    part: TablePart | None  # if it is a part of the entry
    name: ConstraintName

    @property
    def title(self) -> str:
        return part_title(self.entry, self.part) if self.part else self.entry.title

    def build_statement(self, context: DefinitionContext) -> str:
        if self.part is not None:
            return build_addition(self.entry.kind, (self.entry.schema, self.entry.tag), self.part)
        return build_statement(self.entry, self.entry.definition, context.settings)


def find_constraint(plan: RestorePlan, entry: TocEntry) -> Constraint | None:
    """Returns the constraint that an entry creates, or None if it creates something that cannot be NOT VALID. Pure."""
    if entry.kind not in _CONSTRAINT_KINDS:
        return None
    return Constraint(entry=entry, part=None, name=plan.name_constraint(entry))


def add_checks(session: DefinitionSession, context: DefinitionContext, entry: TocEntry) -> None:
    """Adds the CHECK constraints that were removed from a table or domain. Raises ImportStopped.

    One ALTER TABLE adds all CHECKs of a table, because each statement reads all its rows. If the target refuses it,
    each constraint gets a statement of its own.
    """
    parts = list(context.plan.later_checks.get(entry.dump_id, []))
    statement = build_check_additions((entry.schema, entry.tag), parts)
    if entry.kind == TABLE and len(parts) > 1 and session.execute_batch(statement):
        return
    for part in parts:
        add_check(session, context, entry, part)


def add_check(session: DefinitionSession, context: DefinitionContext, entry: TocEntry, part: TablePart) -> None:
    """Adds a CHECK to its table or domain after the rows, if need be NOT VALID, or skips it. Raises ImportStopped."""
    constraint = Constraint(entry=entry, part=part, name=(entry.schema, entry.tag, part.name))
    violation = context.violations.get(constraint.name)
    refusal = violation or session.execute(constraint.build_statement(context), constraint.title)
    if refusal is None or add_not_valid(session, context, constraint, refusal):
        return
    context.report_refusal(constraint.title, refusal)
    skipped = SkippedEntry(entry, refusal.reason, SkipGroup.REFUSED, refusal.sqlstate, refusal.key)
    context.plan.skip_part(entry, part, skipped)


def add_not_valid(
    session: DefinitionSession, context: DefinitionContext, constraint: Constraint, refusal: Refusal
) -> bool:
    """Creates a constraint without a check of the existing rows, and lists it. Returns False if it cannot be created.

    Raises ImportStopped if a refusal ends the import.
    """
    missing_rows = find_missing_rows(context.plan, constraint.entry)
    statement = build_not_valid(constraint.build_statement(context))
    if not _may_be_not_valid(constraint, refusal) or session.execute(statement, constraint.title) is not None:
        return False
    if missing_rows is not None:
        reason = f"{missing_rows.reason}, so the foreign key is NOT VALID"
        skipped = replace(missing_rows, reason=reason)
    else:
        key = refusal.key or read_violating_key(session.connection, constraint.name)
        context.report_refusal(constraint.title, refusal.with_key(key))
        reason = f"rows of the source violate it, so it is NOT VALID: {refusal.reason}"
        skipped = SkippedEntry(constraint.entry, reason, SkipGroup.REFUSED, refusal.sqlstate, key)
    context.plan.keep_not_valid(constraint.name, constraint.title, skipped)
    for name in _read_inherited(session, constraint):
        context.plan.not_valid.add(name)
    return True


def _may_be_not_valid(constraint: Constraint, refusal: Refusal) -> bool:
    """True if the rows are the cause. Pure.

    A function in a CHECK may raise an error for a row. A domain inside of another type (0A000) cannot be validated. A
    constraint of a table conflicts with a NOT VALID one of its partition.
    """
    if is_violation(refusal.sqlstate):
        return True
    conflicts = refusal.sqlstate == _CONFLICT_WITH_PARTITION
    return constraint.part is not None and (conflicts or not refusal.sqlstate.startswith("42"))


def find_missing_rows(plan: RestorePlan, entry: TocEntry) -> SkippedEntry | None:
    """Returns a foreign key with the reason if the copy lacks rows of the table that it references, else None. Pure."""
    tokens = [token.text for token in scan_tokens(entry.definition)]
    if entry.kind != "FK CONSTRAINT" or "references" not in tokens:
        return None
    index = tokens.index("references")
    schema, _, name = [*tokens[index + 1 : index + 4], "", "", ""][:3]
    waiting = [(schema, name)]
    while waiting:
        table = waiting.pop()
        if table in plan.rowless_tables:
            return SkippedEntry(entry, f"spec.filter.excludeTableData leaves out the rows of {'.'.join(table)}")
        if table in plan.undumped_partitions:
            return SkippedEntry(entry, f"it needs rows of {plan.undumped_partitions[table]}, which is skipped")
        for partition in plan.partitions.get(table, ()):
            if (skipped := plan.skipped_entries.get(partition.dump_id)) is not None:
                reason = f"it needs rows of {partition.title}, which is skipped"
                return SkippedEntry(entry, reason, skipped.group_of_dependents)
            waiting.append((partition.schema, partition.tag))
    return None


def _read_inherited(session: DefinitionSession, constraint: Constraint) -> list[ConstraintName]:
    """Returns the constraints of children and partitions that are NOT VALID together with their parent's."""
    schema, owner, name = constraint.name
    parameters = {"schema": schema, "owner": owner, "name": name}
    return [
        (str(child_schema), str(child), name)
        for child_schema, child in session.connection.execute(
            read_query("definitions/inherited_not_valid"), parameters
        ).fetchall()
    ]
