"""What is in a source besides its tables: rows of the catalogues come in, verdicts go out. Pure."""

from collections.abc import Sequence

from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.model.result import SkippedObject, SourceInfo
from pgimport.worker.checks.catalog_reader import ResultRows
from pgimport.worker.checks.check_results import (
    CheckResult,
    NotChecked,
    failed_check,
    passed_check,
    unknown_check,
    warned_check,
)
from pgimport.worker.text import count_of, format_bytes, quote_name, some_of

LIBC, ICU = "c", "i"
EVERYWHERE = frozenset({"c", "posix", "c.utf-8", "c.utf8", "ucs_basic", "pg_c_utf8", "pg_unicode_fast"})
KINDS_IN_A_DETAIL = 12

_SUPERUSER = "only a superuser can make it"
_OF_SERVER = "it belongs to a server, not to a database's content"
_OUTSIDE = "it leads to another server"
WHY: dict[str, str] = {
    "EVENT TRIGGER": _SUPERUSER,
    "PUBLICATION": "a copy must not take part in replication",
    "SUBSCRIPTION": "a copy must not take part in replication",
    "FOREIGN DATA WRAPPER": _OUTSIDE,
    "SERVER": _OUTSIDE,
    "USER MAPPING": "it holds a password for another server",
    "FOREIGN TABLE": _OUTSIDE,
    "VIEW": "it reads a foreign table",
    "MATERIALIZED VIEW": "it reads a foreign table",
    "SECURITY LABEL": _OF_SERVER,
    "TABLESPACE": f"{_OF_SERVER}; what lies in it comes along",
    "LEAKPROOF FUNCTION": "only a superuser can make a function LEAKPROOF",
    "FUNCTION with a privileged setting": "only a superuser may set it",
    "POLICY that names roles": "it stays behind where the target lacks the role; it is never widened to everybody",
}


def judge_encoding(
    facts: SourceInfo, version: ResultRows | NotChecked | None = None, collations: ResultRows | NotChecked | None = None
) -> CheckResult:
    """Rows of `collation_version.sql` and `collations.sql`, where there was somebody to ask."""
    notes = _judge_locale(facts) + _judge_versions(version, collations)
    text = f"{facts.encoding}, locale {_locale(facts)}"
    return (
        warned_check(CheckName.ENCODING_AND_COLLATION, f"{text}: {'; '.join(notes)}")
        if notes
        else passed_check(CheckName.ENCODING_AND_COLLATION, text)
    )


def _locale(facts: SourceInfo) -> str:
    if facts.locale_provider != LIBC:
        return f"{facts.locale} ({'ICU' if facts.locale_provider == ICU else 'builtin'})"
    return facts.collate if facts.collate == facts.ctype else f"{facts.collate}/{facts.ctype}"


def _judge_locale(facts: SourceInfo) -> list[str]:
    notes = []
    if facts.encoding == "SQL_ASCII":
        notes.append(
            "its text has no encoding that a server checks, and the copy's has none either: to get one, convert the"
            " source to UTF8"
        )
    names = {facts.locale} if facts.locale_provider != LIBC else {facts.collate, facts.ctype}
    if any(name is not None and name.lower() not in EVERYWHERE for name in names):
        fallback = "C.UTF-8" if facts.encoding == "UTF8" else "C"
        notes.append(
            f"where the target server lacks this locale{' or ICU' if facts.locale_provider == ICU else ''}, the copy"
            f" gets {fallback}, the import says so, and text may be sorted differently"
        )
    return notes


def _judge_versions(version: ResultRows | NotChecked | None, collations: ResultRows | NotChecked | None) -> list[str]:
    notes = []
    if isinstance(version, NotChecked):
        notes.append(f"its version could not be checked: {version.why}")
    elif version and None not in version[0] and version[0][0] != version[0][1]:
        notes.append(
            f"made with version {version[0][0]}, the source's library now has {version[0][1]}: indexes on text may be"
            " wrong there (unique ones may hold duplicates that the copy refuses): REINDEX DATABASE, then ALTER"
            " DATABASE … REFRESH COLLATION VERSION"
        )
    if isinstance(collations, NotChecked):
        notes.append(f"collations of its own could not be checked: {collations.why}")
    elif collations:
        if changed := [name for name, _, stale in collations if stale]:
            notes.append(f"rules changed since they were made: {some_of(changed)}: REINDEX what uses them")
        if icu := [name for name, provider, _ in collations if provider == ICU]:
            notes.append(f"the target needs ICU for {some_of(icu)}")
    return notes


def judge_large_objects(found: ResultRows | NotChecked, user: str) -> CheckResult:
    """Rows of `large_objects.sql`."""
    if isinstance(found, NotChecked):
        return unknown_check(CheckName.LARGE_OBJECTS, found)
    ((count, size, closed, first),) = found
    if not count:
        return passed_check(CheckName.LARGE_OBJECTS, "none")
    if closed:
        return failed_check(
            CheckName.LARGE_OBJECTS,
            Reason.SOURCE_PERMISSION_DENIED,
            f"{user} may not read {closed} of {count_of(count, 'large object')}",
            f"their owner cures it, for each: GRANT SELECT ON LARGE OBJECT {first} TO {quote_name(user)};",
        )
    return passed_check(CheckName.LARGE_OBJECTS, f"{count_of(count, 'large object')}, {format_bytes(size)} in all")


def list_left(found: ResultRows) -> tuple[list[SkippedObject], int]:
    """Rows of `unsupported.sql` → each named object with its reason, and how many more there are."""
    left = [
        SkippedObject(object=f"{kind} {name}", reason=WHY.get(kind, _SUPERUSER))
        for kind, _, names in found
        for name in names
    ]
    return left, sum(count for _, count, _ in found) - len(left)


def judge_unsupported(
    counted: Sequence[tuple[str, int, Sequence[str]]] | NotChecked,
    effects: Sequence[str] = (),
    source: str = "the source",
) -> CheckResult:
    """Kinds with how many and the first names; `effects`: what comes along and may act on the outside world."""
    if isinstance(counted, NotChecked):
        return unknown_check(CheckName.UNSUPPORTED_OBJECTS, counted)
    kinds = [f"{count} {kind} ({some_of(list(names), total=count)})" for kind, count, names in counted]
    parts = [f"left behind, with what needs it: {some_of(kinds, KINDS_IN_A_DETAIL)}"] if kinds else []
    parts += effects
    return (
        warned_check(CheckName.UNSUPPORTED_OBJECTS, "; ".join(parts))
        if parts
        else passed_check(CheckName.UNSUPPORTED_OBJECTS, f"nothing of {source} stays behind")
    )


def describe_effects(triggers: ResultRows | NotChecked, cron: ResultRows | NotChecked | None) -> list[str]:
    """Production's data in a preview may write to real people."""
    notes = []
    if isinstance(triggers, NotChecked):
        notes.append(f"whether triggers call other services could not be checked: {triggers.why}")
    elif triggers:
        names = [str(name) for (name,) in triggers]
        notes.append(
            f"come along and may call other services from the preview: triggers {some_of(names)}: ALTER TABLE … DISABLE"
            " TRIGGER in spec.postImport keeps them quiet"
        )
    if isinstance(cron, NotChecked):
        notes.append(f"jobs of pg_cron stay behind; how many could not be checked: {cron.why}")
    elif cron and cron[0][0]:
        notes.append(f"{count_of(cron[0][0], 'job')} of pg_cron {'stays' if cron[0][0] == 1 else 'stay'} behind")
    return notes
