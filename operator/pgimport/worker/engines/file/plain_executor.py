"""Runs the statements of plain SQL in psql, and skips those that the target refuses, with what needs them."""

from collections import Counter
from dataclasses import dataclass, field

from pgimport.model.import_choices import OnObjectError, SkipGroup
from pgimport.model.import_report import describe_refusal
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.entry_names import TABLE_ATTACH, describe_detached
from pgimport.worker.archive.extension_names import describe_missing_extension
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.trim import (
    CHECK,
    build_addition,
    build_not_valid,
    find_mentions,
    trim_added_column,
    trim_definition,
)
from pgimport.worker.engines.definitions.session import UNDEFINED_FUNCTION, read_operator_path
from pgimport.worker.engines.definitions.violated_checks import read_violating_key
from pgimport.worker.engines.detached_partitions import name_detached_partition
from pgimport.worker.engines.file.inherited_checks import build_inherited_block
from pgimport.worker.engines.file.plain_statement import ROUTINES, Statement, is_sql_routine
from pgimport.worker.engines.file.psql import PsqlSession
from pgimport.worker.engines.file.psql_messages import PsqlError, translate_psql_error
from pgimport.worker.engines.file.refused_statement import (
    build_path_change,
    build_skipped,
    describe_need,
    may_be_not_valid,
)
from pgimport.worker.engines.file.restored_content import RestoredContent, describe_created_schema
from pgimport.worker.engines.file.search_path import TEMPORARY
from pgimport.worker.engines.file.statement_subject import Subject, find_owner_names
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.refusals import Refusal, is_violation
from pgimport.worker.postgres.server_errors import NOT_FOUND
from pgimport.worker.text import quote_name

MAX_BATCH = 100  # statements between two synchronisations
MAX_BATCH_BYTES = 1024 * 1024
_LIMIT_LOCKS = "SET lock_timeout = '1s'"  # only a transaction of the file locks a table against readers
_MISSING_SCHEMA = "3F000"
_EXISTS = "42710"
_NO_KEY = "42830"  # a foreign key to columns without a key
_DUPLICATES = frozenset({_EXISTS, "42723", "42P06", "42P07"})
TRIMMED_KINDS = frozenset({"DOMAIN", "TABLE"})
_MADE_IN_STEPS = frozenset({"TEXT SEARCH CONFIGURATION", "VIEW"})  # pg_dump writes several statements for one
# Statements about an object that follow it silently if it is skipped.
_ATTACHED_KINDS = frozenset(
    {"COMMENT", "INDEX ATTACH", "ROW SECURITY", "SEQUENCE OWNED BY", "SEQUENCE SET", "TABLE ATTACH", "TABLE DATA"}
)


@dataclass(frozen=True, slots=True)
class SqlRoutine:
    """A function in the language SQL, and the names in its body."""

    subject: Subject
    mentions: set[tuple[str, str]]


@dataclass
class PlainExecutor:
    """Runs statements, and records in `content` what the target has and what it refused."""

    session: PsqlSession
    content: RestoredContent
    on_error: OnObjectError
    codec: str = "utf-8"
    extensions: set[str] = field(default_factory=set)  # that the dump creates
    _batch: list[Statement] = field(default_factory=list)
    _batch_bytes: int = 0
    _skipped_names: dict[tuple[str, str], str] = field(default_factory=dict)  # schema, name → title
    _sql_routines: dict[str, SqlRoutine] = field(default_factory=dict)  # title → function that was created
    _skipped_rows: Counter[str] = field(default_factory=Counter)  # title of a table → its rows
    _access_method: str | None = None  # title of the refused access method of the tables that follow

    def execute(self, statement: Statement) -> None:
        """Passes a statement to psql. Its error is known after `settle`. Raises ImportStopped."""
        if (needed := self._find_needed_before(statement)) is not None:
            reason = describe_need(needed)
            skipped = SkippedObject(object=statement.title, reason=reason, group=needed.group)
            self.skip(statement.subject, skipped)
            return
        self._note_names(statement)
        self._batch.append(statement)
        self._batch_bytes += len(statement.text)
        self.session.write_statement(statement.text)
        is_full = len(self._batch) >= MAX_BATCH or self._batch_bytes >= MAX_BATCH_BYTES
        if is_full or statement.access_method is not None:
            self.settle()

    def settle(self, probe: str | None = None) -> str | None:
        """Waits until all statements have run, and deals with the refused ones. Raises ImportStopped.

        Returns the SQLSTATE of the error of the query `probe`, or None if it can run.
        """
        query = None if probe is None else probe.encode(self.codec)
        outcome = self.session.synchronise(query)
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        errors = dict(reversed(outcome.errors))  # the first error of each statement
        if -1 in errors:
            raise ImportStopped(translate_psql_error(errors[-1], None))
        is_repaired = False  # whether an object exists now that later statements of the batch may have missed
        for index, statement in enumerate(batch):
            error = errors.get(index)
            if error is not None and is_repaired and not statement.fills_rows:
                error = self._try(statement.text)
            if error is None:
                self._note_success(statement)
            else:
                is_repaired |= self._handle(statement, error)
        return self.session.synchronise(query).probe_sqlstate if errors and query else outcome.probe_sqlstate

    def run_block(self, block: str) -> str:
        """Runs a block of PL/pgSQL after all statements before it. Returns what it shows. Raises ImportStopped.

        A block that fails has no effect.
        """
        if self._batch:
            self.settle()
        return self.session.synchronise(block=block.encode(self.codec)).shown

    def skip(self, subject: Subject | None, skipped: SkippedObject) -> None:
        """Records an object that the import skips. Raises ImportStopped if a refused one must end the import."""
        if skipped.group is SkipGroup.REFUSED and self.on_error is OnObjectError.FAIL:
            message = describe_refusal(skipped, with_values=self.session.run.order.shows_row_values)
            raise ImportStopped(Failure(Reason.RESTORE_FAILED, message))
        if skipped.group is SkipGroup.REFUSED:
            self.session.run.reporter.log(describe_refusal(skipped, with_values=False), "warning")
        self.content.skipped.append(skipped)
        if subject is not None:
            self._skipped_names[subject.schema, subject.name] = skipped.object
            if subject.relation:
                self._skipped_names[subject.schema, f"{subject.relation} {subject.name}"] = skipped.object
            if subject.kind in ROUTINES:
                self._drop_callers((subject.schema, subject.name), skipped)

    def add_skipped_rows(self, subject: Subject, rows: int, sqlstate: str) -> None:
        """Counts rows of a table that does not exist in the copy. Raises ImportStopped."""
        title = self._skipped_names.get((subject.schema, subject.name))
        if title is None and not sqlstate:
            return
        if title is None:
            reason = f"the copy has no such table, view or column (SQLSTATE {sqlstate})"
            self.skip(subject, build_skipped(subject.title, reason, SkipGroup.REFUSED, sqlstate, rows=0))
            title = subject.title
        self._skipped_rows[title] += rows

    def list_skipped_rows(self) -> None:
        """Adds to the report how many rows of skipped tables the copy lacks."""
        for index, item in enumerate(self.content.skipped):
            if item.object in self._skipped_rows:
                self.content.skipped[index] = item.model_copy(update={"rows": self._skipped_rows[item.object]})

    def withdraw_schema(self, schema: str, reason: str) -> None:
        """Skips a schema that was created and is still empty."""
        self.settle()
        subject = Subject("SCHEMA", "", schema)
        if self.content.created.pop(subject.title, None) is not None:
            self._try(f"DROP SCHEMA {quote_name(schema)};".encode(self.codec))
            self.skip(subject, SkippedObject(object=subject.title, reason=reason))

    def _try(self, text: bytes) -> PsqlError | None:
        """Runs a statement and returns its error."""
        self.session.write_statement(text)
        errors = self.session.synchronise().errors
        return errors[0][1] if errors else None

    def _note_names(self, statement: Statement) -> None:
        """Remembers the names in the file at once, so that the next statement finds them without their schema."""
        names = self.content.names
        for change in statement.changes if names else ():
            kept = {name for name in map(change.apply_to_name, names) if name is not None}
            names.clear()
            names.update(kept)
        if statement.subject is not None and statement.is_definition:
            names.add((statement.subject.schema, statement.subject.name))

    def _note_success(self, statement: Statement) -> None:
        subject = statement.subject
        if statement.access_method is not None:
            self._access_method = None
        for change in statement.changes:
            self.content.apply(change)
        if subject is None:
            return
        if statement.fills_new_table and subject.schema != TEMPORARY:
            self.content.uncounted_tables.add((subject.schema, subject.tag))
        if statement.is_definition:
            if subject.kind in ("TABLE", "TABLE ATTACH"):
                self.content.partition_roots.add(statement.text.decode(self.codec, "replace"), subject.schema)
            definition = statement.definition if subject.kind == "INDEX ATTACH" else None
            self.content.add(subject, definition)
            if (subject.schema, subject.name) in self._skipped_names:  # a second definition was accepted
                self.content.skipped[:] = [item for item in self.content.skipped if item.object != subject.title]
            if subject.kind in ROUTINES and is_sql_routine(statement.definition):
                self._note_routine(statement, subject)

    def _handle(self, statement: Statement, error: PsqlError) -> bool:
        """Deals with a refused statement. Returns whether an object exists now that did not exist before."""
        refusal = error.to_refusal()
        if refusal is None or statement.fills_rows or statement.verb in ("commit", "end"):
            line = statement.line + (statement.text.count(b"\n") + error.row_line if error.row_line else 0)
            failure = translate_psql_error(error, line, statement.title)
            raise ImportStopped(name_detached_partition(failure, self.content.skipped))
        if statement.tolerates(refusal.sqlstate) or self._follows_skipped(statement):
            return False
        if refusal.sqlstate == _EXISTS and self._inherits_check(statement.subject):
            self._note_success(statement)
            return False
        if refusal.sqlstate in NOT_FOUND and self._run_with_path(statement, refusal):
            self._note_success(statement)
            return True
        if statement.access_method is not None:
            title = f"ACCESS METHOD {statement.access_method}"
            self._access_method = self._skipped_names.get(("", statement.access_method), title)
            return False
        if statement.verb in ("set", "reset"):
            self.content.notes.append(f"line {statement.line} of the dump: {refusal.reason}")
            return False
        subject = statement.subject
        if refusal.sqlstate == _MISSING_SCHEMA and subject is not None and self._create_schema(subject.schema):
            return self._retry(statement)
        is_trimmed = subject is not None and subject.kind in TRIMMED_KINDS and statement.verb in ("create", "alter")
        if is_trimmed and subject is not None and self._create_trimmed(statement, subject):
            return True
        self._record(statement, refusal)
        return False

    def _inherits_check(self, subject: Subject | None) -> bool:
        """Returns whether a CHECK came to its table with that of a parent, as to a partition."""
        if subject is None or subject.kind != CHECK or subject.relation is None:
            return False
        return self.run_block(build_inherited_block(subject.schema, subject.relation, subject.name)) == "true"

    def _run_with_path(self, statement: Statement, refusal: Refusal) -> bool:
        """Runs a statement with the search_path that a function's body or an operator may need."""
        run = self.session.run
        path = run.shadow_state.search_path if refusal.context else ""
        if not refusal.context and refusal.sqlstate == UNDEFINED_FUNCTION:
            with run.shadow_sessions.session("the schemas of operators were read") as shadow:
                path = read_operator_path(shadow)
        if not path:
            return False
        enter, leave = build_path_change(path)
        errors = [self._try(text) for text in (enter.encode(self.codec), statement.text, leave.encode(self.codec))]
        return errors[1] is None

    def _retry(self, statement: Statement) -> bool:
        error = self._try(statement.text)
        if error is not None:
            return self._handle(statement, error)
        self._note_success(statement)
        return True

    def _create_schema(self, schema: str) -> bool:
        """Creates a schema that the file does not contain. A file by `pg_dump --table` contains no schemas."""
        if not schema or self._try(f"CREATE SCHEMA {quote_name(schema)};".encode(self.codec)) is not None:
            return False
        self.content.notes.append(describe_created_schema(schema))
        return True

    def _create_trimmed(self, statement: Statement, subject: Subject) -> bool:
        """Creates a table, domain or column without its defaults and constraints. Adds those that the target takes."""
        definition = statement.text.decode(self.codec, "replace")
        if statement.verb == "alter":
            trimmed, parts = trim_added_column(definition)
        else:
            trimmed, parts = trim_definition(subject.kind, definition, lambda _: True)
        if not parts or "\ufffd" in definition or self._try(trimmed.encode(self.codec)) is not None:
            return False
        self._note_success(statement)
        for part in parts:
            addition = build_addition(subject.kind, (subject.schema, subject.tag), part)
            part_subject = Subject(part.kind, subject.schema, f"{subject.tag} {part.name}".rstrip(), subject.tag)
            self._retry(Statement(addition.encode(self.codec), statement.line, addition, part_subject))
        return True

    def _record(self, statement: Statement, refusal: Refusal) -> None:
        """Lists a refused object. A constraint that rows violate is added without a check of the existing rows."""
        title, group, reason, key = statement.title, SkipGroup.REFUSED, refusal.reason, refusal.key
        if refusal.sqlstate in _DUPLICATES and title in self.content.created:
            reason = f"{title} is there already, as another statement defines it: {reason}"
            title = f"STATEMENT in line {statement.line}"
            self.skip(None, build_skipped(title, reason, group, refusal.sqlstate))
            return
        if may_be_not_valid(statement, refusal.sqlstate):
            not_valid = build_not_valid(statement.text.decode(self.codec, "replace"))
            if self._try(not_valid.encode(self.codec)) is None:
                self.content.not_valid.add(title)
                key = key or self._read_key(statement.subject)
                cause = "rows of the source violate it" if is_violation(refusal.sqlstate) else "it cannot be checked"
                reason = f"{cause}, so it is NOT VALID: {reason}"
        elif refusal.sqlstate.startswith(("42", "3F")):
            needed = self._find_needed(statement, with_keys=refusal.sqlstate == _NO_KEY)
            if needed is not None:
                group, reason = needed.group, describe_need(needed)
                reason += f": {refusal.reason}" if group is SkipGroup.REFUSED else ""
            elif hint := describe_missing_extension(find_mentions(scan_tokens(statement.definition)), self.extensions):
                reason = f"{hint}: {reason}"
        if statement.subject is not None and statement.subject.kind == TABLE_ATTACH:
            reason = describe_detached(statement.subject.schema, statement.subject.tag, reason)
        self._drop_unfinished(statement.subject)
        subject = None if statement.changes_object else statement.subject
        self.skip(subject, build_skipped(title, reason, group, refusal.sqlstate, key))

    def _drop_unfinished(self, subject: Subject | None) -> None:
        """Drops what the refused statement should have completed: a view without content, a configuration."""
        if subject is not None and subject.kind in _MADE_IN_STEPS and subject.title in self.content.created:
            text = f"DROP {subject.kind} {quote_name(subject.schema, subject.tag)};"
            if self._try(text.encode(self.codec)) is None:
                del self.content.created[subject.title]

    def _read_key(self, subject: Subject | None) -> str | None:
        """Returns the key of a row that violates a CHECK, or None if a transaction of the file hides or locks them."""
        if subject is None or subject.relation is None:
            return None
        with self.session.run.shadow_sessions.own_session("a row that violates a CHECK was searched") as shadow:
            shadow.execute(_LIMIT_LOCKS)
            return read_violating_key(shadow, (subject.schema, subject.relation, subject.name))

    def _find_needed_before(self, statement: Statement) -> SkippedObject | None:
        """Returns the skipped object that the statement needs although the target would accept the statement.

        PostgreSQL stores no dependency for the body of an SQL function, and tables of a refused access method would
        get another one.
        """
        subject = statement.subject
        if subject is None or statement.verb != "create" or not self._skipped_names:
            return None
        if subject.kind in ("TABLE", "MATERIALIZED VIEW") and self._access_method is not None:
            return self._find_skipped({self._access_method})
        is_routine = subject.kind in ROUTINES and is_sql_routine(statement.definition)
        return self._find_needed(statement) if is_routine else None

    def _note_routine(self, statement: Statement, subject: Subject) -> None:
        """Remembers what an SQL function calls, and skips it if that was refused in the same batch."""
        routine = SqlRoutine(subject, find_mentions(scan_tokens(statement.definition)))
        self._sql_routines[subject.title] = routine
        if (needed := self._find_needed(statement)) is not None:
            self._drop_routine(routine, needed)

    def _drop_callers(self, name: tuple[str, str], needed: SkippedObject) -> None:
        """Skips the SQL functions that call a function that turned out to be refused."""
        for routine in list(self._sql_routines.values()):
            if name in routine.mentions and routine.subject.title in self.content.created:
                self._drop_routine(routine, needed)

    def _drop_routine(self, routine: SqlRoutine, needed: SkippedObject) -> None:
        subject = routine.subject
        text = f"DROP ROUTINE {quote_name(subject.schema, subject.name)};"
        if self._try(text.encode(self.codec)) is None:
            del self.content.created[subject.title], self._sql_routines[subject.title]
            self.skip(subject, SkippedObject(object=subject.title, reason=describe_need(needed), group=needed.group))

    def _find_skipped(self, titles: set[str]) -> SkippedObject | None:
        return next((item for item in self.content.skipped if item.object in titles), None)

    def _find_needed(self, statement: Statement, *, with_keys: bool = False) -> SkippedObject | None:
        """Returns the skipped object that the statement mentions, if there is one.

        `with_keys`: also a skipped key or unique index of a table that it mentions.
        """
        mentioned = find_mentions(scan_tokens(statement.definition))
        titles = {self._skipped_names[name] for name in mentioned & self._skipped_names.keys()}
        for (schema, name), title in self._skipped_names.items() if with_keys and not titles else ():
            if title.startswith(("CONSTRAINT ", "INDEX ")) and (schema, name.partition(" ")[0]) in mentioned:
                titles.add(title)
        return self._find_skipped(titles)

    def _follows_skipped(self, statement: Statement) -> bool:
        """Whether the statement is about an object that is skipped, and is no object of its own."""
        subject = statement.subject
        if subject is None:
            return False
        if statement.is_definition and subject.kind not in _ATTACHED_KINDS:
            return False
        if subject.kind == "SEQUENCE OWNED BY" and (needed := self._find_needed(statement)) is not None:
            self._skip_owned_sequence(subject, needed)
            return True
        return any(name in self._skipped_names for name in find_owner_names(subject))

    def _skip_owned_sequence(self, subject: Subject, needed: SkippedObject) -> None:
        """Skips a sequence whose table is skipped.

        If another object already uses the sequence, it stays and only OWNED BY is lost.
        """
        sequence = Subject("SEQUENCE", subject.schema, subject.tag)
        if self._try(f"DROP SEQUENCE {quote_name(subject.schema, subject.tag)};".encode(self.codec)) is None:
            self.content.created.pop(sequence.title, None)
            reason = f"it belongs to {needed.object}, which is skipped"
            self.skip(sequence, SkippedObject(object=sequence.title, reason=reason, group=needed.group))
        else:
            reason = f"{describe_need(needed)}; the sequence is there, because another object uses it"
            self.skip(None, SkippedObject(object=subject.title, reason=reason, group=needed.group))
