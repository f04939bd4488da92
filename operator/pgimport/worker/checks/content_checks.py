"""Checks encoding, collations, large objects, skipped objects and side effects of a source. Pure."""

from collections.abc import Sequence

from pgimport.model.import_choices import SkipGroup
from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.model.result import SkippedObject, SourceInfo
from pgimport.worker.checks.catalog_reader import ResultRows
from pgimport.worker.checks.check_results import (
    CheckResult,
    NotChecked,
    failed_check,
    join_sentences,
    passed_check,
    unknown_check,
    warned_check,
)
from pgimport.worker.text import count_of, format_bytes, quote_name, some_of

LIBC, ICU = "c", "i"  # pg_database.datlocprovider
# Locales that every server has, in lower case.
PORTABLE_LOCALES = frozenset({"c", "posix", "c.utf-8", "c.utf8", "ucs_basic", "pg_c_utf8", "pg_unicode_fast"})
KINDS_IN_A_DETAIL = 12

_SUPERUSER = "only a superuser can create it"
_OF_SERVER = "it belongs to the server, not to the database"
_REPLICATION = "a copy must not take part in replication"
_REMOTE = "it leads to another server"
_FOREIGN_READER = "it reads a foreign table"
# Kinds with a reason of their own that the import tries to create. The target's answer decides.
_REFUSED = ("LEAKPROOF FUNCTION", "FUNCTION with a privileged setting")
SKIP_REASONS: dict[str, str] = {
    "EVENT TRIGGER": _SUPERUSER,
    "PUBLICATION": _REPLICATION,
    "SUBSCRIPTION": _REPLICATION,
    "FOREIGN DATA WRAPPER": _REMOTE,
    "SERVER": _REMOTE,
    "USER MAPPING": "it holds a password for another server",
    "FOREIGN TABLE": _REMOTE,
    "VIEW": _FOREIGN_READER,
    "MATERIALIZED VIEW": _FOREIGN_READER,
    "SECURITY LABEL": _OF_SERVER,
    "TABLESPACE": f"{_OF_SERVER}; the tables and indexes in it are imported",
    "LEAKPROOF FUNCTION": "only a superuser can create a LEAKPROOF function",
    "FUNCTION with a privileged setting": "only a superuser can set it",
    "POLICY that names roles": (
        "it is skipped if the target lacks one of the roles, because it must never be widened to everybody"
    ),
}


def judge_encoding(
    facts: SourceInfo,
    version: ResultRows | NotChecked | None = None,
    collations: ResultRows | NotChecked | None = None,
    file_notes: Sequence[str] = (),
) -> CheckResult:
    """Judges encoding and locale, and the rows of `collation_version.sql` and `collations.sql`.

    The rows of both are None for a dump file. Those of `collation_version.sql` are also None before PostgreSQL 15.
    `file_notes`: what a dump file does not say about its encoding and locale.
    """
    notes = [*file_notes, *_judge_locale(facts), *_judge_database_version(version), *_judge_collations(collations)]
    text = f"{facts.encoding}, locale {_describe_locale(facts)}"
    if notes:
        return warned_check(CheckName.ENCODING_AND_COLLATION, join_sentences([text, *notes]))
    return passed_check(CheckName.ENCODING_AND_COLLATION, text)


def _describe_locale(facts: SourceInfo) -> str:
    if not facts.locale_known:
        return "unknown"
    if facts.locale_provider != LIBC:
        return f"{facts.locale} ({'ICU' if facts.locale_provider == ICU else 'builtin'})"
    return facts.collate if facts.collate == facts.ctype else f"{facts.collate}/{facts.ctype}"


def _judge_locale(facts: SourceInfo) -> list[str]:
    notes = []
    if facts.encoding == "SQL_ASCII":
        notes.append(
            "SQL_ASCII text has no encoding that a server checks, neither at the source nor in the copy. To get checked"
            " text, convert the source to UTF8"
        )
    if not facts.locale_known:
        return notes
    names = {facts.locale} if facts.locale_provider != LIBC else {facts.collate, facts.ctype}
    if any(name is not None and name.lower() not in PORTABLE_LOCALES for name in names):
        fallback = "C.UTF-8" if facts.encoding == "UTF8" else "C"
        lacks = "this locale or ICU" if facts.locale_provider == ICU else "this locale"
        notes.append(
            f"If the target server lacks {lacks}, the copy gets {fallback}, text may be sorted differently, and the"
            " import adds a note"
        )
    return notes


def _judge_database_version(version: ResultRows | NotChecked | None) -> list[str]:
    if isinstance(version, NotChecked):
        return [f"The collation version could not be checked: {version.reason}"]
    if not version or None in version[0] or version[0][0] == version[0][1]:
        return []
    recorded, actual = version[0]
    return [
        f"The database has collation version {recorded}, but the source's library now has {actual}",
        "Indexes on text may be wrong at the source, and unique ones may contain duplicates that the copy refuses",
        "Run REINDEX DATABASE and then ALTER DATABASE … REFRESH COLLATION VERSION at the source",
    ]


def _judge_collations(collations: ResultRows | NotChecked | None) -> list[str]:
    if isinstance(collations, NotChecked):
        return [f"User-defined collations could not be checked: {collations.reason}"]
    notes = []
    if changed := [name for name, _, is_changed in collations or () if is_changed]:
        notes.append(
            f"The library's sort rules changed since these collations were created: {some_of(changed)}. Run REINDEX on"
            " the indexes that use them"
        )
    if icu_names := [name for name, provider, _ in collations or () if provider == ICU]:
        notes.append(f"The target server needs ICU for {some_of(icu_names)}")
    return notes


def judge_large_objects(rows: ResultRows | NotChecked, user: str) -> CheckResult:
    """Judges the row of `large_objects.sql`."""
    if isinstance(rows, NotChecked):
        return unknown_check(CheckName.LARGE_OBJECTS, rows)
    ((count, size, unreadable_count, first_unreadable),) = rows
    if not count:
        return passed_check(CheckName.LARGE_OBJECTS, "none")
    if unreadable_count:
        owner, each = ("its owner", "") if unreadable_count == 1 else ("their owner", ", for each")
        return failed_check(
            CheckName.LARGE_OBJECTS,
            Reason.SOURCE_PERMISSION_DENIED,
            f"{user} cannot read {unreadable_count} of {count_of(count, 'large object')}",
            f"Ask {owner} to run{each}: GRANT SELECT ON LARGE OBJECT {first_unreadable} TO {quote_name(user)};",
            hint="No filter leaves out large objects. Without this privilege, use the URL of the role that owns them.",
        )
    return passed_check(CheckName.LARGE_OBJECTS, f"{count_of(count, 'large object')}, {format_bytes(size)} in all")


def list_skipped(rows: ResultRows) -> tuple[list[SkippedObject], int]:
    """Returns each object that `unsupported.sql` names, with its reason, and the number of further objects."""
    skipped = [
        SkippedObject(object=f"{kind} {name}", reason=SKIP_REASONS.get(kind, _SUPERUSER), group=_find_group(kind))
        for kind, _, names in rows
        for name in names
    ]
    return skipped, sum(count for _, count, _ in rows) - len(skipped)


def _find_group(kind: str) -> SkipGroup:
    is_by_design = kind in SKIP_REASONS and kind not in _REFUSED
    return SkipGroup.BY_DESIGN if is_by_design else SkipGroup.REFUSED


def judge_unsupported(
    kinds: Sequence[tuple[str, int, Sequence[str]]] | NotChecked,
    side_effects: Sequence[str] = (),
    source: str = "the source",
) -> CheckResult:
    """Judges skipped objects and side effects.

    `kinds`: kind, count and first names of skipped objects. `side_effects`: see `describe_side_effects`.
    """
    if isinstance(kinds, NotChecked):
        return unknown_check(CheckName.UNSUPPORTED_OBJECTS, kinds)
    titles = [f"{count} {kind} ({some_of(list(names), total=count)})" for kind, count, names in kinds]
    notes = (
        [f"The import skips these, and what depends on them: {some_of(titles, KINDS_IN_A_DETAIL)}"] if titles else []
    )
    notes += side_effects
    if notes:
        return warned_check(CheckName.UNSUPPORTED_OBJECTS, join_sentences(notes))
    return passed_check(CheckName.UNSUPPORTED_OBJECTS, f"the import skips nothing of {source}")


def describe_side_effects(trigger_rows: ResultRows | NotChecked, job_rows: ResultRows | NotChecked | None) -> list[str]:
    """Returns notes about triggers and jobs that act on other systems: a preview could send messages to real people.

    `trigger_rows`: one row per trigger. `job_rows`: the count of pg_cron's jobs; None without pg_cron.
    """
    notes = []
    if isinstance(trigger_rows, NotChecked):
        notes.append(f"Triggers could not be checked for calls to other services: {trigger_rows.reason}")
    elif trigger_rows:
        names = [str(name) for (name,) in trigger_rows]
        notes.append(
            f"These imported triggers may call other services from the preview: {some_of(names)}. To prevent it, run"
            " ALTER TABLE … DISABLE TRIGGER in spec.postImport"
        )
    if isinstance(job_rows, NotChecked):
        notes.append(f"The import skips the jobs of pg_cron. They could not be counted: {job_rows.reason}")
    elif job_rows and job_rows[0][0]:
        notes.append(f"The import skips {count_of(job_rows[0][0], 'job')} of pg_cron")
    return notes
