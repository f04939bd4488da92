"""Plain SQL of pg_dump: a stream comes in; psql has run it as the attempt's role, its rows counted as they went by."""

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, PlainSqlLexer, PsqlCommand, SqlStatement
from pgimport.worker.engines.file.psql import PsqlInput, run_psql
from pgimport.worker.engines.file.restored_content import RestoredContent, find_copy_target, read_to_the_end
from pgimport.worker.engines.file.statement_rules import HEAD, RestoreTime, is_about, judge_statement
from pgimport.worker.engines.pg_restore import ImportRun
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import reporting_server_progress
from pgimport.worker.scope.archive_scope import refuse_filter_for_plain_sql

_ENCODING = b"SET client_encoding "
_RESTRICT, _UNRESTRICT = b"\\restrict ", b"\\unrestrict "
_PIECE = 1024 * 1024


def restore_plain(run: ImportRun, stream: DumpStream, download: Download, exclusions: Exclusions) -> RestoredContent:
    refuse_filter_for_plain_sql(run.order)
    passed = RestoredContent(later=run.environment.scratch / "later.sql")
    stopped: list[ImportStopped] = []

    def give(script: PsqlInput) -> None:
        try:
            _write_statements(run, PlainSqlLexer(stream), exclusions, passed, script)
        except ImportStopped as found:  # psql would only say that its input ended
            stopped.append(found)
            raise BrokenPipeError from None

    try:
        # While an index is built, no byte of the file moves.
        with reporting_server_progress(run, run.shadow, "postgres/index_progress"):
            run_psql(run, give)
    except ImportStopped:
        if not stopped:
            raise
    if stopped:
        raise stopped[0]
    read_to_the_end(run, stream, download)
    return passed


def _write_statements(
    run: ImportRun, lexer: PlainSqlLexer, exclusions: Exclusions, passed: RestoredContent, script: PsqlInput
) -> None:
    major = run.order.target.server_version_num // 10000
    token: bytes | None = None
    table: tuple[str, str] | None = None
    codec, encoding = UTF8, b""
    assert passed.later is not None  # noqa: S101 (of plain SQL it is there)
    with passed.later.open("wb") as later:
        for item in lexer.items():
            if isinstance(item, CopyRows):
                script.write(item.text, newlines=item.newlines + int(item.last))
                if table is not None:
                    passed.rows[table] += item.newlines
            elif isinstance(item, PsqlCommand):
                token = _check_command(item, token)
            else:
                if item.text.startswith(_ENCODING):
                    codec, encoding = (
                        find_client_encoding_codec(item.text.decode("ascii", "replace")),
                        item.text + b"\n",
                    )
                verdict = judge_statement(item.text, major, exclusions.present, exclusions.roles or (), codec)
                if verdict.left is not None:
                    passed.left.append(verdict.left)
                if verdict.refresh is not None:
                    passed.filled.add(_refreshed(verdict.refresh))
                if verdict.when is RestoreTime.NOW and not _is_about_left(item, passed, codec):
                    script.write(item.text + b"\n", item.line)
                    table = _copy_target(item, codec)
                    _note(item, passed, codec)
                elif verdict.when is RestoreTime.LAST:
                    later.write(encoding + item.text + b"\n")
                    encoding = b""


def _check_command(item: PsqlCommand, token: bytes | None) -> bytes:
    """Exactly the file's own restriction and its end are dropped: ours is around everything. Raises Stopped."""
    text = item.text.strip()
    if text.startswith(_RESTRICT) and token is None:
        return text[len(_RESTRICT) :]
    if text.startswith(_UNRESTRICT) and token is not None and text[len(_UNRESTRICT) :] == token:
        return token
    shown = text[:40].decode("utf-8", "replace")
    raise ImportStopped(
        Failure(
            Reason.DUMP_CORRUPT,
            f"line {item.line} of the dump is a command of psql ({shown}), which pg_dump never writes there",
        )
    )


def _is_about_left(item: SqlStatement, passed: RestoredContent, codec: str) -> bool:
    if not passed.left or not item.text.startswith(b"COMMENT ON "):
        return False
    return is_about(item.text[:HEAD].decode(codec, "replace"), {one.object for one in passed.left})


def _copy_target(item: SqlStatement, codec: str) -> tuple[str, str] | None:
    head = item.text[:4096].decode(codec, "replace")
    return find_copy_target(head) if head.startswith("COPY ") else None


def _note(item: SqlStatement, passed: RestoredContent, codec: str) -> None:
    if item.text.startswith(b"INSERT INTO "):
        words = parse_tokens(item.text[:512].decode(codec, "replace"))
        passed.uncounted.add("".join(words[2:5]) if words[3:4] == ["."] else words[2])
    elif item.text.startswith(b"SELECT pg_catalog.setval("):
        passed.sequences += 1


def _refreshed(statement: str) -> tuple[str, str]:
    words = parse_tokens(statement)
    return (words[3], words[5]) if words[4:5] == ["."] else ("public", words[3])


def run_last_statements(run: ImportRun, passed: RestoredContent) -> None:
    """Policies and row security, once the rows were counted. Raises Stopped."""
    later = passed.later
    if later is None or not later.stat().st_size:
        return

    def give(script: PsqlInput) -> None:
        with later.open("rb") as file:
            while piece := file.read(_PIECE):
                script.write(piece)

    run_psql(run, give)
