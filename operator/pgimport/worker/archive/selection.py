"""An archive's entries and what must stay behind come in; what is restored, and when, goes out. Pure.

Entries are judged one by one, by kind, definition and dependencies, never by searching a text. What depends on
something that stays, stays too, and is named. A filter for tidiness, not a fence: what keeps hostile content in
bounds is the role that restores it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens
from pgimport.worker.archive.superuser_only import find_superuser_reason, policy_roles
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import CHECK, TablePart, mentions, trim_table

# Left without a word: the operator made them, or the documentation says that owners and grants stay behind.
_LEFT_SILENTLY = frozenset(
    {
        "ACL",
        "ACL LANGUAGE",
        "DATABASE",
        "DATABASE PROPERTIES",
        "DEFAULT ACL",
        "EXTENSION",
        "MATERIALIZED VIEW DATA",
        "SECURITY LABEL",
        "SEQUENCE SET",
        "STATISTICS DATA",
        "TABLESPACE",
    }
)
_ELSEWHERE = "it reaches out of the database"
_FOREIGN = "foreign data stays where it is"
_LEFT_NAMED = {
    "EVENT TRIGGER": "only a superuser can make an event trigger",
    "FOREIGN DATA WRAPPER": _FOREIGN,
    "FOREIGN SERVER": _FOREIGN,
    "FOREIGN TABLE": _FOREIGN,
    "SERVER": _FOREIGN,
    "PUBLICATION": _ELSEWHERE,
    "PUBLICATION TABLE": _ELSEWHERE,
    "PUBLICATION TABLES IN SCHEMA": _ELSEWHERE,
    "SUBSCRIPTION": _ELSEWHERE,
    "SUBSCRIPTION TABLE": _ELSEWHERE,
    "USER MAPPING": _FOREIGN,
}
# Nothing of their own: where the object that they belong to stays, they stay without a word.
_ATTACHED = frozenset(
    {
        "ACL",
        "BLOBS",
        "BLOB COMMENTS",
        "COMMENT",
        "INDEX ATTACH",
        "MATERIALIZED VIEW DATA",
        "ROW SECURITY",
        "SECURITY LABEL",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "STATISTICS DATA",
        "TABLE ATTACH",
        "TABLE DATA",
    }
)
_IN_EXPRESSIONS = frozenset({"AGGREGATE", "FUNCTION", "SEQUENCE"})
_LAST = frozenset({"POLICY", "ROW SECURITY"})
PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT = 2604, 1259, 2606  # oids of the catalogs, the same everywhere

ExclusionRule = Callable[[TocEntry], str | None]


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What stays behind besides the kinds that always do."""

    present: frozenset[str] = frozenset({"public"})  # schemas that are there already
    roles: frozenset[str] | None = None  # of the target; a policy that names another one stays. None: not known
    objects: dict[tuple[int, int], str] = field(default_factory=dict)  # (catalog, oid) → why
    parts: dict[tuple[int, str, str], str] = field(default_factory=dict)  # oid of a table, kind, name → why
    judge: ExclusionRule = lambda _: None  # by name: what the user's filter or the provider's row says
    positions: bool = False  # sequences stand where the archive says, for there is no source to ask


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What is restored when, and what is not."""

    main: list[TocEntry] = field(default_factory=list)
    last: list[TocEntry] = field(default_factory=list)  # policies and row security: after the rows were counted
    skipped: list[SkippedObject] = field(default_factory=list)  # worth telling
    skipped_keys: set[tuple[int, int]] = field(default_factory=set)  # (catalog, oid) of all that stays
    skipped_checks: set[tuple[str, str, str]] = field(default_factory=set)  # schema, table, constraint
    changes: dict[str, str] = field(default_factory=dict)  # a table's definition → the same without what stays

    @property
    def table_oids(self) -> dict[int, int]:
        """Dump id of an entry with rows → oid of its table at the source."""
        return {entry.dump_id: entry.oid for entry in self.main if entry.kind == "TABLE DATA"}


def plan_restore(entries: Iterable[TocEntry], exclusions: Exclusions) -> RestorePlan:
    """Sort entries into what is restored, what is restored last, and what is left.

    An archive lists what is depended on before what depends on it.
    """
    plan = RestorePlan()
    gone: dict[int, TocEntry] = {}  # by dump id: what stays and is missed by what depends on it
    present: set[int] = set()  # what is at the target already: nobody misses it, its comments are not ours
    last: set[int] = set()
    for entry in entries:
        if entry.kind in ("SCHEMA", "EXTENSION") and _is_present(entry, exclusions):
            present.add(entry.dump_id)
            continue
        if entry.kind in _ATTACHED and any(one in gone or one in present for one in entry.dependencies[:1]):
            continue
        silent = entry.kind in _LEFT_SILENTLY and not (exclusions.positions and entry.kind == "SEQUENCE SET")
        if silent and _why(entry, exclusions) is None:
            continue
        missed = [gone[one] for one in entry.dependencies if one in gone]
        why = _why(entry, exclusions)
        if why is None and missed and entry.kind in _ATTACHED:
            continue
        if why is None and not (entry.kind == "TABLE" and _trim(plan, entry, missed, exclusions)) and missed:
            why = _needs(missed[0])
        if why is not None:
            gone[entry.dump_id] = entry
            plan.skipped_keys.add((entry.catalog, entry.oid))
            plan.skipped.append(SkippedObject(object=entry.title, reason=why))
        elif entry.kind in _LAST or (entry.kind == "COMMENT" and last.intersection(entry.dependencies)):
            last.add(entry.dump_id)
            plan.last.append(entry)
        else:
            plan.main.append(entry)
    return plan


def _needs(missed: TocEntry) -> str:
    return f"it needs {missed.title}, which stays behind"


def _trim(plan: RestorePlan, entry: TocEntry, missed: list[TocEntry], exclusions: Exclusions) -> bool:
    """Take defaults and constraints out that need what stays; False where something else of the table needs it."""
    if not all(one.kind in _IN_EXPRESSIONS for one in missed):
        return False
    if not missed and not exclusions.parts:
        return True
    names = {(one.schema, parse_tokens(one.tag)[0]): _needs(one) for one in missed}

    def find_why(part: TablePart) -> str | None:
        found = exclusions.parts.get((entry.oid, part.kind, part.name))
        return found or next((why for name, why in names.items() if mentions(part.words, {name})), None)

    definition, taken = trim_table(entry.definition, lambda part: find_why(part) is not None)
    if mentions(list(scan_tokens(definition)), names):
        return False
    if taken:
        plan.changes[entry.definition] = definition
    for part in taken:
        title = f"{part.kind} {entry.schema}.{entry.tag} {part.name}"
        plan.skipped.append(SkippedObject(object=title, reason=str(find_why(part))))
        if part.kind == CHECK:
            plan.skipped_checks.add((entry.schema, entry.tag, part.name))
    return True


def _is_present(entry: TocEntry, exclusions: Exclusions) -> bool:
    """The operator has made what the report named; what the user's filter leaves is another matter."""
    if entry.kind == "EXTENSION":
        return _why(entry, exclusions) is None
    return entry.tag in exclusions.present


def _why(entry: TocEntry, exclusions: Exclusions) -> str | None:
    if entry.kind in _LEFT_NAMED:
        return _LEFT_NAMED[entry.kind]
    if entry.catalog and (found := exclusions.objects.get((entry.catalog, entry.oid))) is not None:
        return found
    if (found := exclusions.judge(entry)) is not None:
        return found
    if entry.kind == "POLICY" and exclusions.roles is not None:
        lacking = sorted(set(policy_roles(entry.definition)) - exclusions.roles)
        if lacking:
            return f"it names a role that the target lacks ({', '.join(lacking)})"
    return find_superuser_reason(entry.kind, entry.definition)


def format_use_list(entries: Iterable[TocEntry]) -> str:
    """What `pg_restore --use-list` reads: it looks at the number alone."""
    return "".join(f"{entry.dump_id};\n" for entry in entries)
