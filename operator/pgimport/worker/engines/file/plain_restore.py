"""Restores plain SQL of pg_dump: psql runs it as the attempt's role while its rows are counted."""

from pathlib import Path
from typing import BinaryIO

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, PlainSqlLexer, PsqlCommand, SqlStatement
from pgimport.worker.engines.file.psql import PsqlInput, run_psql
from pgimport.worker.engines.file.restored_content import RestoredContent, find_copy_target
from pgimport.worker.engines.file.statement_rules import HEAD, RestoreTime, is_comment_on, judge_statement
from pgimport.worker.engines.file.whole_file import read_to_the_end
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.archive_scope import refuse_filter_for_plain_sql

_ENCODING = b"SET client_encoding "
_RESTRICT, _UNRESTRICT = b"\\restrict ", b"\\unrestrict "
_PIECE = 1024 * 1024


def restore_plain(run: ImportRun, stream: DumpStream, download: Download, exclusions: Exclusions) -> RestoredContent:
    """Runs all statements except those of row security, which `run_deferred_sql` runs later. Raises ImportStopped."""
    refuse_filter_for_plain_sql(run.order)
    deferred_sql = run.environment.scratch / "deferred.sql"
    content = RestoredContent(deferred_sql=deferred_sql)
    read_errors: list[ImportStopped] = []

    def write_input(psql_input: PsqlInput) -> None:
        try:
            with deferred_sql.open("wb") as deferred:
                _write_statements(run.target_major, PlainSqlLexer(stream), exclusions, content, psql_input, deferred)
        except ImportStopped as stopped:  # psql would only say that its input ended
            read_errors.append(stopped)
            raise BrokenPipeError from None

    try:
        # While the server builds an index, psql reads no byte of the file: report the server's progress.
        with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
            run_psql(run, write_input)
    except ImportStopped:
        if not read_errors:
            raise
    if read_errors:
        raise read_errors[0]
    read_to_the_end(run.order, stream, download)
    return content


def run_deferred_sql(run: ImportRun, deferred_sql: Path) -> None:
    """Creates policies and enables row security, once the rows were counted. Raises ImportStopped."""
    if not deferred_sql.stat().st_size:
        return

    def write_input(psql_input: PsqlInput) -> None:
        with deferred_sql.open("rb") as file:
            while piece := file.read(_PIECE):
                psql_input.write(piece)

    run_psql(run, write_input)


def _write_statements(
    target_major: int,
    lexer: PlainSqlLexer,
    exclusions: Exclusions,
    content: RestoredContent,
    psql_input: PsqlInput,
    deferred: BinaryIO,
) -> None:
    restrict_token: bytes | None = None
    copied_table: tuple[str, str] | None = None
    codec, encoding_statement = UTF8, b""
    for item in lexer.items():
        if isinstance(item, CopyRows):
            psql_input.write(item.text, newlines=item.newlines + int(item.last))
            if copied_table is not None:
                content.row_counts[copied_table] += item.newlines
            continue
        if isinstance(item, PsqlCommand):
            restrict_token = _check_command(item, restrict_token)
            continue
        if item.text.startswith(_ENCODING):
            codec = find_client_encoding_codec(item.text.decode("ascii", "replace"))
            encoding_statement = item.text + b"\n"
        verdict = judge_statement(
            item.text, target_major, exclusions.present_schemas, exclusions.target_roles or (), codec
        )
        if verdict.skipped is not None:
            content.skipped.append(verdict.skipped)
        if verdict.refresh_statement is not None:
            content.populated_views.add(_find_refreshed_view(verdict.refresh_statement))
        if verdict.when is RestoreTime.NOW and not _is_comment_on_skipped(item, content, codec):
            psql_input.write(item.text + b"\n", item.line)
            copied_table = _find_copied_table(item, codec)
            _count_statement(item, content, codec)
        elif verdict.when is RestoreTime.LAST:
            deferred.write(encoding_statement + item.text + b"\n")
            encoding_statement = b""


def _check_command(item: PsqlCommand, token: bytes | None) -> bytes:
    """Accepts `\\restrict` and `\\unrestrict`, and returns the dump's token. Raises ImportStopped for other commands.

    The caller drops both commands, because psql runs the whole dump under a `\\restrict` of our own.
    """
    text = item.text.strip()
    if text.startswith(_RESTRICT) and token is None:
        return text[len(_RESTRICT) :]
    if text.startswith(_UNRESTRICT) and token is not None and text[len(_UNRESTRICT) :] == token:
        return token
    shown = text[:40].decode("utf-8", "replace")
    raise ImportStopped(
        Failure(
            Reason.DUMP_CORRUPT,
            f"line {item.line} of the dump is a psql command ({shown}) that pg_dump never writes: dump again",
        )
    )


def _is_comment_on_skipped(item: SqlStatement, content: RestoredContent, codec: str) -> bool:
    if not content.skipped or not item.text.startswith(b"COMMENT ON "):
        return False
    return is_comment_on(item.text[:HEAD].decode(codec, "replace"), {skipped.object for skipped in content.skipped})


def _find_copied_table(item: SqlStatement, codec: str) -> tuple[str, str] | None:
    head = item.text[:4096].decode(codec, "replace")
    return find_copy_target(head) if head.startswith("COPY ") else None


def _count_statement(item: SqlStatement, content: RestoredContent, codec: str) -> None:
    if item.text.startswith(b"INSERT INTO "):
        tokens = parse_tokens(item.text[:512].decode(codec, "replace"))
        content.uncounted_tables.add("".join(tokens[2:5]) if tokens[3:4] == ["."] else tokens[2])
    elif item.text.startswith(b"SELECT pg_catalog.setval("):
        content.sequence_count += 1


def _find_refreshed_view(statement: str) -> tuple[str, str]:
    tokens = parse_tokens(statement)
    return (tokens[3], tokens[5]) if tokens[4:5] == ["."] else ("public", tokens[3])
