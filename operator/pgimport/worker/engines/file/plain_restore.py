"""Restores plain SQL of pg_dump: psql runs it as the attempt's role while its rows are counted."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.archive.sql_tokens import parse_tokens, split_options
from pgimport.worker.archive.trim import CHECK, build_addition, find_mentions, trim_domain
from pgimport.worker.engines.configuration_rows import finish_rows, move_rows, open_staging
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.file_session import FileSession
from pgimport.worker.engines.file.plain_executor import TRIMMED_KINDS, PlainExecutor
from pgimport.worker.engines.file.plain_rows import PlainRows
from pgimport.worker.engines.file.plain_sql_lexer import BLANKS, CopyRows, PlainSqlLexer, PsqlCommand, SqlStatement
from pgimport.worker.engines.file.plain_statement import Statement, parse_statement, remove_oids, remove_placement
from pgimport.worker.engines.file.psql import BEGINNING, PsqlSession, run_psql
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.file.schema_statements import keep_schemas, split_create_schema
from pgimport.worker.engines.file.statement_rules import (
    HEAD,
    RestoreTime,
    TargetFacts,
    judge_statement,
    may_change_rows,
)
from pgimport.worker.engines.file.statement_subject import Subject
from pgimport.worker.engines.file.table_actions import split_actions
from pgimport.worker.engines.file.transactions import TRANSACTION_VERBS, Transactions
from pgimport.worker.engines.file.waiting_constraints import WaitingConstraints
from pgimport.worker.engines.file.whole_file import read_to_the_end
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.archive_scope import (
    find_skipped_extension,
    find_skipped_schemas,
    refuse_filter_for_plain_sql,
)

_FIRED_KINDS = frozenset({"RULE", "TRIGGER"})
_FIRING_VERBS = frozenset({"call", "delete", "do", "execute", "merge", "select", "update", "with"})
_COPY = re.compile(b"COPY\\b", re.IGNORECASE)
_INSERT = re.compile(b"INSERT%bINTO\\b" % BLANKS, re.IGNORECASE)


def restore_plain(run: ImportRun, stream: DumpStream, download: Download, exclusions: Exclusions) -> RestoredContent:
    """Runs all statements except those of row security, which `run_deferred_statements` runs later.

    Raises ImportStopped.
    """
    refuse_filter_for_plain_sql(run.order)
    content = RestoredContent()
    staging = open_staging(run)
    target = TargetFacts(
        present_schemas=exclusions.present_schemas,
        roles=exclusions.target_roles,
        skipped_schemas=find_skipped_schemas(run.order),
    )

    def talk(session: PsqlSession) -> None:
        executor = PlainExecutor(session, content, run.order.on_object_error)
        file_session = FileSession(executor)
        rows = PlainRows(executor, content, staging, file_session, WaitingConstraints(executor, file_session.settings))
        restore = _PlainRestore(executor, content, target, rows, run, file_session)
        for item in PlainSqlLexer(stream).items():
            restore.take(item)
        restore.finish()

    # While the server builds an index, psql reads no byte of the file: report the server's progress.
    with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
        run_psql(run, talk)
    read_to_the_end(run.order, stream, download)
    content.add_configuration_rows([*move_rows(run, staging), *finish_rows(run, staging)])
    return content


def run_deferred_statements(run: ImportRun, content: RestoredContent) -> None:
    """Creates policies and enables row security, once the rows were counted. Raises ImportStopped."""
    if not content.deferred:
        return

    def talk(session: PsqlSession) -> None:
        executor = PlainExecutor(session, content, run.order.on_object_error)
        run_statements(executor, content.deferred)

    run_psql(run, talk)


def run_statements(executor: PlainExecutor, statements: list[Statement]) -> None:
    """Runs statements that were postponed, each with the settings that it had in the dump. Raises ImportStopped."""
    settings: tuple[bytes, ...] = ()
    for statement in statements:
        for setting in statement.settings:
            if setting not in settings:
                executor.execute(Statement(setting, statement.line, setting.decode("ascii", "replace"), None))
        settings = statement.settings
        executor.execute(statement)
    executor.settle()


@dataclass
class _PlainRestore:
    """Takes the parts of a dump in their order, and passes on those that run."""

    executor: PlainExecutor
    content: RestoredContent
    target: TargetFacts
    rows: PlainRows
    run: ImportRun
    session: FileSession
    restrict_token: bytes | None = None
    databases: list[str] = field(default_factory=list)  # names after \\connect
    filled_database: str | None = None  # the one that the objects are in
    postponed: list[Statement] = field(default_factory=list)
    notes_unfired: bool = False  # whether a note says that a statement fired no triggers
    transactions: Transactions = field(init=False)

    def __post_init__(self) -> None:
        self.transactions = Transactions(self._save)

    def take(self, item: SqlStatement | CopyRows | PsqlCommand) -> None:
        """Runs, postpones or skips one part. Raises ImportStopped."""
        match item:
            case CopyRows():
                self.rows.take_rows(item)
            case PsqlCommand():
                self._take_command(item)
            case SqlStatement() if _INSERT.match(item.text):
                self.rows.take_insert(item, self.session.path, self.target.skipped_schemas)
            case SqlStatement():
                if not _COPY.match(item.text):
                    self.session.use_own_path(item.line)
                for statement in self._parse(item):
                    self._take_statement(statement)

    def _parse(self, item: SqlStatement) -> Iterator[Statement]:
        """Yields the statement, or the ones that do the same."""
        statement = parse_statement(item, self.session.codec, self.session.path)
        if len(item.text) > HEAD or "\ufffd" in statement.definition:
            yield statement
            return
        texts = self._split(statement)
        if texts == [statement.definition]:
            yield statement
            return
        for text in texts:
            action = SqlStatement(text.encode(self.session.codec), item.line, b"")
            yield parse_statement(action, self.session.codec, self.session.path)

    def _split(self, statement: Statement) -> list[str]:
        definition, present = statement.definition, self.target.present_schemas
        is_schema = statement.subject is not None and statement.subject.kind == "SCHEMA"
        match statement.verb:
            case "alter":
                return [option for text in split_actions(definition) for option in split_options(text)]
            case "create" if is_schema:
                setting = self.session.settings["search_path"]
                return split_create_schema(definition, self.session.path, setting.decode(self.session.codec, "replace"))
            case "drop" if is_schema:
                text = keep_schemas(definition, present)
                if text != definition:
                    self._note_kept_schemas(statement)
                return [] if text is None else [text]
        return [definition]

    def _note_kept_schemas(self, statement: Statement) -> None:
        self.executor.settle()
        names = {change.old[1] for change in statement.changes} & self.target.present_schemas
        for name in sorted(names & {item.schema for item in self.content.created.values()}):
            note = f"line {statement.line} of the dump drops the schema {name}, which stays with its objects"
            self.content.notes.append(note)

    def finish(self) -> None:
        """Runs the statements that were postponed. Raises ImportStopped."""
        self.session.use_own_path(0)
        self.executor.settle()
        run_statements(self.executor, self.rows.take_waiting_constraints())
        run_statements(self.executor, self.postponed)
        self.executor.list_skipped_rows()
        views = [item for item in self.content.created.values() if item.kind == "MATERIALIZED VIEW"]
        self.content.populated_views &= {(view.schema, view.tag) for view in views}
        self.content.notes += [
            f"the dump does not populate the materialized view {view.schema}.{view.tag}: run REFRESH MATERIALIZED VIEW"
            for view in views
            if (view.schema, view.tag) not in self.content.populated_views
        ]

    def _take_statement(self, statement: Statement) -> None:
        if statement.verb == "create" and statement.subject is not None:
            self._note_name(statement.subject)
        verdict = judge_statement(statement.definition, statement.subject, self.target)
        if verdict.skipped is not None:
            self.executor.skip(statement.subject, verdict.skipped)
        if statement.subject is not None and statement.verb in ("create", "refresh"):
            view = (statement.subject.schema, statement.subject.tag)
            (self.content.populated_views.add if statement.populates_view else self.content.populated_views.discard)(
                view
            )
        match verdict.when:
            case _ if statement.verb == "copy":
                self.rows.take_copy(statement, is_skipped=verdict.when is RestoreTime.NEVER)
            case RestoreTime.NOW:
                self._run_now(replace(statement, tolerated=verdict.tolerated))
            case RestoreTime.POSTPONED:
                self.postponed.append(replace(statement, settings=tuple(self.session.settings.values())))
            case RestoreTime.LAST:
                deferred = replace(
                    statement, settings=tuple(self.session.settings.values()), tolerated=verdict.tolerated
                )
                self.content.deferred.append(deferred)

    def _run_now(self, statement: Statement) -> None:
        self._check_database(statement)
        statement = remove_placement(statement, self.session.codec)
        self._run_before(statement)
        if statement.verb in ("set", "select", "reset", "discard"):
            self.session.note(statement, in_transaction=self.transactions.is_open)
        elif statement.verb == "create" and statement.subject is not None and statement.subject.kind in TRIMMED_KINDS:
            statement = self._postpone_checks(remove_oids(statement), statement.subject)
        if statement.subject is not None and statement.subject.kind == "SEQUENCE SET":
            self.content.sequence_count += 1
        self.executor.execute(statement)
        self._run_after(statement)

    def _run_before(self, statement: Statement) -> None:
        """Adds what waits and what the statement would change or need, and notes which rows it may change."""
        if self.rows.constraints.must_return_before(statement):
            self._run_waiting(self.rows.take_waiting_constraints())
        names = {name for change in statement.changes for name in (change.old[1], change.relation)}
        if names:
            due = [item for item in self.postponed if item.mentions_one_of(names)]
            self.postponed = [item for item in self.postponed if item not in due]
            secured = [
                item for item in self.content.deferred if item.mentions_one_of(names) and not item.forces_security
            ]
            self.content.deferred = [item for item in self.content.deferred if item not in secured]
            self._run_waiting([*due, *secured])
        if may_change_rows(statement.definition, has_rows=self.rows.has_rows):
            self._note_row_change(statement)

    def _note_row_change(self, statement: Statement) -> None:
        title = f"{statement.verb.upper()} in line {statement.line}"
        self.content.row_change = self.content.row_change or title
        waiting = [item for item in self.postponed if item.subject is not None and item.subject.kind in _FIRED_KINDS]
        if waiting and statement.verb in _FIRING_VERBS and not self.notes_unfired:
            self.notes_unfired = True
            self.content.notes.append(
                f"{title} of the dump did not fire triggers or rules such as {waiting[0].title}: they are created after"
                " the dump's last row"
            )

    def _run_waiting(self, statements: list[Statement]) -> None:
        if statements:
            run_statements(self.executor, statements)
            self.session.restore(statements[0].line)

    def _run_after(self, statement: Statement) -> None:
        """Notes what the statement has changed in the session."""
        if statement.verb in ("reset", "discard"):
            self.executor.execute(Statement(BEGINNING, statement.line, "", None))
        if statement.verb in TRANSACTION_VERBS:
            self.executor.settle()
            if statement.verb in ("commit", "end"):
                self.session.end_transaction()
            self.transactions.note([word for word in parse_tokens(statement.definition) if word != ";"])
            self.session.forget_path()
        self.rows.inserts.clear()  # the next INSERT may mean another table by the same name
        if statement.subject is not None and statement.subject.kind == "SCHEMA":
            self.session.forget_path(schemas_only=True)

    def _save(self) -> Callable[[], None]:
        """Remembers the present state. Returns a function that restores it, after a ROLLBACK of the file."""
        restore_content, restore_waiting = self.content.save(), self.rows.constraints.save()
        restore_session, postponed = self.session.save(), list(self.postponed)

        def restore() -> None:
            restore_content()
            restore_waiting()
            restore_session()
            self.postponed = list(postponed)

        return restore

    def _postpone_checks(self, statement: Statement, subject: Subject) -> Statement:
        """Removes the CHECKs of a domain that name an object of the dump: its function may read rows that come later.

        The others stay, as those that name an extension's operator: PostgreSQL cannot check a domain inside another
        type.
        """
        if subject.kind != "DOMAIN" or "check" not in statement.definition.lower():
            return statement
        definition = statement.text.decode(self.session.codec, "replace")
        names = set(self.content.names)
        trimmed, parts = trim_domain(
            definition, lambda part: part.kind == CHECK and not names.isdisjoint(find_mentions(part.tokens))
        )
        if not parts or "\ufffd" in definition:
            return statement
        settings = tuple(self.session.settings.values())
        for part in parts:
            text = build_addition(subject.kind, (subject.schema, subject.tag), part)
            part_subject = Subject(CHECK, subject.schema, f"{subject.tag} {part.name}", subject.tag)
            self.postponed.append(
                Statement(text.encode(self.session.codec), statement.line, text, part_subject, settings=settings)
            )
        return replace(statement, text=trimmed.encode(self.session.codec), definition=trimmed)

    def _note_name(self, subject: Subject) -> None:
        """Detects the provider by its schemas and extensions. Skips those of its schemas that were created already."""
        if subject.kind == "EXTENSION":
            self.executor.extensions.add(subject.tag)
            skipped_extension = find_skipped_extension(self.run.order, subject.tag, self.run.shadow_state)
            if skipped_extension is not None:
                self.executor.skip(subject, skipped_extension)
        if subject.kind not in ("EXTENSION", "SCHEMA") or self.target.skipped_schemas:
            return
        names = {subject.kind: [subject.tag]}
        skipped = find_skipped_schemas(self.run.order, names.get("SCHEMA", ()), names.get("EXTENSION", ()))
        if skipped:
            self.target = replace(self.target, skipped_schemas=skipped)
            for schema, reason in skipped.items():
                self.executor.withdraw_schema(schema, reason)

    def _take_command(self, item: PsqlCommand) -> None:
        """Drops `\\restrict` and `\\unrestrict`, because psql runs the whole dump under a `\\restrict` of our own.

        `\\connect` begins a session in the next database of pg_dumpall, or in the one of `pg_dump --create`.
        """
        words = item.text.split()
        if len(words) == 2 and words[0] == b"\\restrict" and self.restrict_token is None:
            self.restrict_token = words[1]
        elif len(words) == 2 and words[0] == b"\\unrestrict" and words[1] == self.restrict_token:
            self.restrict_token = None
        elif len(words) > 1 and words[0] in (b"\\connect", b"\\c"):
            self.databases.append(item.text.split(None, 1)[1].decode(self.session.codec, "replace").strip())
            self._take_statement(Statement(b"RESET ALL;", item.line, "RESET ALL;", None))
        else:
            raise ImportStopped(_refuse_command(item))

    def _check_database(self, statement: Statement) -> None:
        """Raises ImportStopped if the file has objects of several databases."""
        if statement.verb != "create" or not self.databases:
            return
        current = self.databases[-1]
        if self.filled_database not in (None, current):
            raise ImportStopped(_refuse_databases([str(self.filled_database), current]))
        self.filled_database = current


def _refuse_command(item: PsqlCommand) -> Failure:
    shown = item.text[:40].strip().decode("utf-8", "replace")
    return Failure(
        Reason.DUMP_CORRUPT,
        f"line {item.line} of the dump is a psql command ({shown}) that pg_dump never writes: dump again",
    )


def _refuse_databases(names: list[str]) -> Failure:
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        f"the dump holds objects of several databases ({', '.join(names)}), and an import takes one:"
        " dump one database with pg_dump",
    )
