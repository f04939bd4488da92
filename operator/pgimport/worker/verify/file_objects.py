"""Derives from a dump file which objects the copy must have, and in which state. Pure.

The structure of the copy is compared with these objects, as that of a live source is compared with the source's.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.verify.structure import INVALID, UNFINISHED, StructureItem

# Kind of an archive's entry → kind of structure.sql.
_KINDS = {
    "TABLE": "table",
    "VIEW": "view",
    "MATERIALIZED VIEW": "materialized view",
    "INDEX": "index",
    "CONSTRAINT": "constraint",
    "CHECK CONSTRAINT": "constraint",
    "FK CONSTRAINT": "constraint",
    "TRIGGER": "trigger",
    "RULE": "rule",
    "POLICY": "policy",
    "FUNCTION": "function",
    "PROCEDURE": "function",
    "AGGREGATE": "function",
    "DOMAIN": "type",
    "STATISTICS": "statistics",
}
_TYPE_STATES = {" AS ENUM ": "e", " AS RANGE ": "r"}  # composite and base types are not in structure.sql
_TRIGGER_STATES = {" DISABLE TRIGGER ": "D", " ENABLE REPLICA TRIGGER ": "R", " ENABLE ALWAYS TRIGGER ": "A"}
_OWN_NAME = ("table", "view", "materialized view")  # kinds whose name is in the column `relation`
_ON_A_RELATION = ("constraint", "trigger", "policy", "rule")  # kinds whose tag is `relation name`
# The state of these kinds says something else than whether the object is valid and enabled.
_STATE_FROM_FILE = ("constraint", "trigger", "table")
_QUALIFIER = re.compile(r'(?<![\w"])(?:"(?:[^"]|"")++"|\w++)\.')

Name = tuple[str, str]  # schema, name


@dataclass(frozen=True, slots=True)
class FileObject:
    """An object that a dump file creates. Of plain SQL, the definition is not known."""

    kind: str
    schema: str
    tag: str  # as in an archive: `orders orders_pkey` for what belongs to a table
    definition: str | None = None


def list_expected(objects: Iterable[FileObject], structure: Iterable[StructureItem]) -> list[StructureItem]:
    """Returns the items that the copy's structure must contain.

    `structure` is the copy's. It tells where the table's name ends in a tag such as `orders orders_pkey`, and gives the
    states that the file does not tell. `find_invalid_indexes` judges indexes that are not valid.
    """
    by_tag = _index_by_tag(structure)
    listed = [item for item in objects if item.schema]
    secured = {(item.schema, item.tag) for item in listed if item.kind == "ROW SECURITY"}
    expected = []
    for item in listed:
        kind = _find_kind(item)
        if kind is None or _changes_other_object(item):
            continue
        copy = by_tag.get((kind, item.schema, _normalize_tag(item, kind)))
        if copy is None:
            has_relation = kind in _OWN_NAME or kind in _ON_A_RELATION
            relation, name = (item.tag, "") if has_relation else ("", item.tag)
            expected.append(StructureItem(kind, item.schema, relation, name, ""))
        elif copy.state != UNFINISHED:
            is_secured = (item.schema, item.tag) in secured
            state = _find_state(item, kind, is_secured) if item.definition and kind in _STATE_FROM_FILE else copy.state
            expected.append(copy._replace(state=state))
    return expected


def _index_by_tag(structure: Iterable[StructureItem]) -> dict[tuple[str, str, str], StructureItem]:
    """Returns (kind, schema, tag) → item. A partition's key is not listed as a constraint, but its index is."""
    by_tag: dict[tuple[str, str, str], StructureItem] = {}
    items = list(structure)
    for item in items:
        if item.kind == "index":
            by_tag["constraint", item.schema, f"{item.relation} {item.name}"] = item
    for item in items:
        tags = [_build_tag(item)]
        if item.kind == "function":
            tags = [_strip_schemas(item.name), item.name.partition("(")[0]]
        for tag in tags:
            by_tag[item.kind, item.schema, tag] = item
    return by_tag


def find_invalid_indexes(
    structure: Iterable[StructureItem], objects: Iterable[FileObject], attached: Mapping[Name, int]
) -> tuple[list[str], list[str]]:
    """Returns differences and notes for the indexes of the copy that are not valid.

    `attached`: schema and name of a partitioned index → number of its partitions' indexes. An index on a partitioned
    table is not valid until each partition's index is attached. It may be so at the source too. Then the dump attaches
    fewer indexes than there are partitions.
    """
    attachments = Counter(_find_attached_to(item) for item in objects if item.kind == "INDEX ATTACH")
    differences, notes = [], []
    for item in structure:
        if item.kind != "index" or item.state not in (INVALID, UNFINISHED):
            continue
        name = (item.schema, item.name)
        wanted, present = attachments.get(name, 0), attached.get(name, 0)
        if item.state == UNFINISHED:
            differences.append(f"{item.title} is not valid in the copy")
        elif present < wanted:
            differences.append(
                f"{item.title} is not valid in the copy: {wanted - present} of {wanted} indexes of"
                " partitions are not attached to it"
            )
        else:
            notes.append(f"{item.title} is not valid, because the dump attaches no index of some partitions to it")
    return differences, notes


def count_by_kind(expected: Collection[StructureItem]) -> dict[str, int]:
    """Returns kind → number of objects."""
    return dict(Counter(item.kind for item in expected))


def _build_tag(item: StructureItem) -> str:
    if item.kind == "index":
        return item.name
    return " ".join(part for part in (item.relation, item.name) if part)


def _normalize_tag(item: FileObject, kind: str) -> str:
    """Returns the tag of a function without what differs between versions of pg_dump: the schemas of types, and `*`.

    The tag of plain SQL may have no types as PostgreSQL writes them, so only the name is used.
    """
    if kind != "function":
        return item.tag
    if item.definition is None:
        return item.tag.partition("(")[0]
    return _strip_schemas(f"{item.tag[:-3]}()" if item.tag.endswith("(*)") else item.tag)


def _strip_schemas(tag: str) -> str:
    return _QUALIFIER.sub("", tag)


# PostgreSQL marks a constraint that it does not enforce as not valid.
_NOT_VALID_ENDS = (" NOT VALID", " NOT ENFORCED")


def _find_kind(item: FileObject) -> str | None:
    if item.kind == "TYPE" and item.definition is not None:
        return "type" if any(words in item.definition for words in _TYPE_STATES) else None
    return _KINDS.get(item.kind)


def _changes_other_object(item: FileObject) -> bool:
    """True for an entry that only gives a partition's trigger its state, or a view its query."""
    if item.kind == "RULE":
        return item.tag.endswith(" _RETURN")
    return item.kind == "TRIGGER" and (item.definition or "").lstrip().startswith("ALTER TABLE ")


def _find_state(item: FileObject, kind: str, is_secured: bool) -> str:
    definition = item.definition or ""
    if kind == "constraint":
        return "not valid" if definition.rstrip().rstrip(";").endswith(_NOT_VALID_ENDS) else ""
    if kind == "trigger":
        return next((state for words, state in _TRIGGER_STATES.items() if words in definition), "O")
    if not is_secured:
        return ""
    return "row security forced" if " FORCE ROW LEVEL SECURITY" in definition else "row security"


def _find_attached_to(item: FileObject) -> Name:
    """Returns the partitioned index of `ALTER INDEX schema.index ATTACH PARTITION schema.index`."""
    tokens = parse_tokens(item.definition or "")
    return (tokens[2], tokens[4]) if len(tokens) > 4 and tokens[3] == "." else ("", "")
