"""Creates the entries of an archive one after the other, and skips those that the target refuses.

Entries run in batches, each in one transaction. If a statement of a batch fails, its entries run again one by one. So
an error costs time only for its batch, and no transaction needs more locks than a server has.
"""

from collections.abc import Callable, Iterable, Iterator

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.archive.entry_names import describe_refused_entry, part_title
from pgimport.worker.archive.extension_names import describe_missing_extension, find_extension
from pgimport.worker.archive.restore_plan import SkippedEntry
from pgimport.worker.archive.sql_tokens import scan_tokens, split_options, split_statements
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import DOMAIN, TABLE, TablePart, build_addition, find_mentions, trim_definition
from pgimport.worker.engines.definitions.constraints import add_not_valid, find_constraint, find_missing_rows
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.definitions.statements import build_statement
from pgimport.worker.postgres.refusals import Refusal, is_violation
from pgimport.worker.text import quote_name, shorten_line

# Each object holds a few locks until its transaction ends, and a server can hold some thousands of locks.
OBJECTS_PER_BATCH = 100
CHARACTERS_PER_BATCH = 1_000_000
_UNKNOWN_NAMES = frozenset({"42704", "42883"})  # undefined_object, undefined_function
_SCHEMA_COMMENT = (
    "SELECT pg_catalog.obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace WHERE nspname = %s"
)
# pg_dump writes options of columns and indexes, such as compression, as statements behind the one that creates them.
_KINDS_OF_PARTS = frozenset({TABLE, DOMAIN, "CONSTRAINT", "INDEX", "MATERIALIZED VIEW"})
_MAX_TITLE = 100  # characters
_VIEW_RULE = "CREATE OR REPLACE VIEW"  # replaces a placeholder, which broke a circle of dependencies


class DefinitionExecutor:
    """Creates entries in sessions of the shadow. May be used by several threads, each with its own session."""

    def __init__(self, context: DefinitionContext) -> None:
        self.context = context
        self._plan = context.plan

    def create_all(self, session: DefinitionSession, entries: Iterable[TocEntry], on_entry: Callable[[], None]) -> None:
        """Creates entries in their order. Calls `on_entry` after each. Raises ImportStopped."""
        for batch in self._build_batches(session, entries):
            statements = "\n".join(self.context.build_statement(entry) for entry in batch)
            if len(batch) == 1 or not session.execute_batch(statements):
                for entry in batch:
                    self.create(session, entry)
            for _ in batch:
                on_entry()

    def create(self, session: DefinitionSession, entry: TocEntry) -> None:
        """Creates one entry in a transaction of its own, or skips it. Raises ImportStopped."""
        if not self._admit(session, entry):
            return
        refusal = session.execute(self.context.build_statement(entry), entry.title)
        if refusal is None or self._create_without_parts(session, entry) or _has_comment(session, entry):
            return
        constraint = find_constraint(self._plan, entry)
        if constraint is not None and add_not_valid(session, self.context, constraint, refusal):
            return
        self.refuse(session, entry, refusal)

    def refuse(self, session: DefinitionSession, entry: TocEntry, refusal: Refusal) -> None:
        """Skips an entry that the target has refused. Raises ImportStopped if a refusal ends the import."""
        missing_rows = find_missing_rows(self._plan, entry) if is_violation(refusal.sqlstate) else None
        cause = missing_rows.reason if missing_rows is not None else self._find_missing_extension(entry)
        cause = cause or _describe_partial_dump(session, entry, refusal)
        reason = describe_refused_entry(entry, f"{cause}: {refusal.reason}" if cause else refusal.reason)
        self.context.report_refusal(entry.title, refusal)
        self._plan.skip(SkippedEntry(entry, reason, SkipGroup.REFUSED, refusal.sqlstate, refusal.key))
        self._drop_placeholder(session, entry)

    def add_part(self, session: DefinitionSession, entry: TocEntry, part: TablePart) -> None:
        """Adds a default or CHECK to its table or domain, or skips it. Raises ImportStopped."""
        title = part_title(entry, part)
        statement = build_addition(entry.kind, (entry.schema, entry.tag), part)
        if (refusal := session.execute(statement, title)) is not None:
            self.context.report_refusal(title, refusal)
            self._plan.skip_part(
                entry, part, SkippedEntry(entry, refusal.reason, SkipGroup.REFUSED, refusal.sqlstate, refusal.key)
            )

    def _build_batches(self, session: DefinitionSession, entries: Iterable[TocEntry]) -> Iterator[list[TocEntry]]:
        """Yields batches without entries that need a skipped one, as far as it is known when the batch is built."""
        batch, characters = list[TocEntry](), 0
        for entry in entries:
            if not self._admit(session, entry):
                continue
            size = len(entry.definition)
            if batch and (len(batch) == OBJECTS_PER_BATCH or characters + size > CHARACTERS_PER_BATCH):
                yield batch
                batch, characters = [], 0
            batch.append(entry)
            characters += size
        if batch:
            yield batch

    def _admit(self, session: DefinitionSession, entry: TocEntry) -> bool:
        if self._plan.admit(entry):
            return True
        self._drop_placeholder(session, entry)
        return False

    def _create_without_parts(self, session: DefinitionSession, entry: TocEntry) -> bool:
        """Creates a relation or domain alone, and then adds each default, CHECK and option that the target takes.

        Returns False if the target refuses the rest too.
        """
        if entry.kind not in _KINDS_OF_PARTS:
            return False
        definition, parts = trim_definition(entry.kind, self._plan.definition_of(entry), lambda _: True)
        first, *changes = split_statements(definition) or [""]
        settings = self.context.settings
        if not (parts or changes) or session.execute(build_statement(entry, first, settings), entry.title) is not None:
            return False
        for part in parts:
            self.add_part(session, entry, part)
        for change in changes:
            for option in split_options(change):
                self._change(session, entry, option)
        return True

    def _change(self, session: DefinitionSession, entry: TocEntry, statement: str) -> None:
        """Executes a statement of an entry behind the one that creates it, or lists it. Raises ImportStopped."""
        title = shorten_line(statement.rstrip(";"), _MAX_TITLE)
        if (refusal := session.execute(build_statement(entry, statement, self.context.settings), title)) is not None:
            self.context.report_refusal(title, refusal)
            self._plan.skip_change(title, SkippedEntry(entry, refusal.reason, SkipGroup.REFUSED, refusal.sqlstate))

    def _find_missing_extension(self, entry: TocEntry) -> str | None:
        """Returns the reason of an entry that needs a skipped extension."""
        missing = (self._plan.skipped_entries.get(dump_id) for dump_id in entry.dependencies)
        extension = next((item for item in missing if item is not None and item.entry.kind == "EXTENSION"), None)
        return extension.reason_of_dependents if extension is not None else None

    def _drop_placeholder(self, session: DefinitionSession, entry: TocEntry) -> None:
        """Drops a view whose rule was skipped: pg_dump creates such a view as a placeholder without rows."""
        skipped = self._plan.skipped_entries.get(entry.dump_id)
        if skipped is None or entry.kind != "RULE" or not entry.definition.startswith(_VIEW_RULE):
            return
        view = self._plan.find_entry(entry, "VIEW")
        if view is None or self._plan.is_skipped(view):
            return
        reason, group = skipped.reason_of_dependents, skipped.group
        self._plan.skip_with_dependents(SkippedEntry(view, reason, group))
        session.execute(f"DROP VIEW {quote_name(view.schema, view.tag)} CASCADE;", view.title)


def _has_comment(session: DefinitionSession, entry: TocEntry) -> bool:
    """Returns whether the entry is a comment that its schema has already, as one from the database's template may."""
    tokens = list(scan_tokens(entry.definition)) if entry.definition.startswith("COMMENT ON SCHEMA ") else []
    if len(tokens) < 6:
        return False
    name, text = tokens[3].text, tokens[5].content
    if entry.definition[tokens[5].start] in "Ee":
        text = text.replace("\\\\", "\\")
    return session.connection.execute(_SCHEMA_COMMENT, [name]).fetchone() == (text,)


def _describe_partial_dump(session: DefinitionSession, entry: TocEntry, refusal: Refusal) -> str | None:
    """Returns what to do if the dump has an object but not its extension, as `pg_dump --table` writes it, else None."""
    if refusal.sqlstate not in _UNKNOWN_NAMES:
        return None
    mentions = find_mentions(scan_tokens(entry.definition))
    extension = find_extension(mentions)
    present = {name for (name,) in session.connection.execute("SELECT extname FROM pg_catalog.pg_extension")}
    return None if extension is None or extension in present else describe_missing_extension(mentions, ())
