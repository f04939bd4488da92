"""What part of a source is meant: a filter and the schemas that stay behind in, a predicate on names out. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from pgimport.model.spec import Filter

NameFilter = Callable[[str, str], bool]  # schema, name


def build_name_filter(
    filter_: Filter | None, left: Collection[str], user: str = "", *, rows: bool = False
) -> NameFilter:
    """`rows`: of tables that are wanted without their rows, nothing is."""
    given = filter_ or Filter()
    included, excluded = _schemas(given.include_schemas), _schemas(given.exclude_schemas)
    unwanted = [*given.exclude_tables, *(given.exclude_table_data if rows else [])]
    patterns = [_table(pattern) for pattern in unwanted]
    visible = {"public", user}  # where a name without a schema is looked for

    def wanted(schema: str, name: str) -> bool:
        if schema in left or (included and not _any(included, schema)) or _any(excluded, schema):
            return False
        return not any(
            (schema in visible if of is None else of.fullmatch(schema)) and table.fullmatch(name)
            for of, table in patterns
        )

    return wanted


def find_partitions(chosen: Collection[int], parents: Mapping[int, int]) -> set[int]:
    """The chosen tables' partitions, at any depth: the rows of a partitioned table are theirs."""
    found: set[int] = set()
    for one in parents:
        at = one
        while at in parents:
            at = parents[at]
            if at in chosen:
                found.add(one)
                break
    return found


def find_unmatched_pattern(
    filter_: Filter, schemas: Collection[str], relations: Iterable[tuple[int, str, str]], user: str = ""
) -> str | None:
    """The first pattern that means nothing: most likely it is misspelt."""
    for field, patterns in (("includeSchemas", filter_.include_schemas), ("excludeSchemas", filter_.exclude_schemas)):
        for pattern in patterns:
            if not any(_compile(pattern).fullmatch(name) for name in schemas):
                return f"{field}: {pattern}"
    listed = list(relations)
    for field, patterns in (
        ("excludeTables", filter_.exclude_tables),
        ("excludeTableData", filter_.exclude_table_data),
    ):
        for pattern in patterns:
            of, table = _table(pattern)
            if not any(
                (schema in {"public", user} if of is None else of.fullmatch(schema)) and table.fullmatch(name)
                for _, schema, name in listed
            ):
                return f"{field}: {pattern}"
    return None


def _schemas(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [_compile(pattern) for pattern in patterns]


def _any(patterns: Iterable[re.Pattern[str]], name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)


def _table(pattern: str) -> tuple[re.Pattern[str] | None, re.Pattern[str]]:
    *of, name = _split(pattern)
    return (_compile(of[-1]) if of else None), _compile(name)


def _split(pattern: str) -> list[str]:
    """At the dots that are not quoted."""
    return re.findall(r'(?:"(?:[^"]|"")*"|[^".])+', pattern) or [""]


def _compile(pattern: str) -> re.Pattern[str]:
    """As pg_dump reads it: * and ? as a shell does, what is not quoted in small letters, other signs as a pattern's."""
    parts = []
    for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|([^"]+)', pattern):
        if plain:
            parts.append(plain.lower().replace("$", r"\$").replace("*", ".*").replace("?", "."))
        else:
            parts.append(re.escape(quoted.replace('""', '"')))
    try:
        return re.compile("".join(parts))
    except re.error:
        return re.compile(re.escape(pattern))
