"""Matches names against the patterns of `spec.filter`, as pg_dump reads them. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from pgimport.model.import_spec import Filter

NameFilter = Callable[[str, str], bool]  # schema, name → whether it is imported
EXCLUDED_EXTENSION = "spec.filter.excludeExtensions leaves it out"  # reason of a skipped object
EXCLUDED_ROWS = "spec.filter.excludeTableData leaves them out"  # reason for missing rows
ANY_RELATION = "\x00"  # a name that no table pattern matches, to ask only about the schema
TablePattern = tuple[re.Pattern[str] | None, re.Pattern[str]]  # schema, if the pattern names one, and table


def build_name_filter(
    filter_: Filter | None, excluded_schemas: Collection[str], user: str = "", *, rows: bool = False
) -> NameFilter:
    """Returns a function that tells whether a relation is imported or, with `rows`, whether its rows are.

    A pattern without a schema matches relations of `public` and of the user's own schema.
    """
    spec = filter_ or Filter()
    included, excluded = _compile_all(spec.include_schemas), _compile_all(spec.exclude_schemas)
    table_patterns = [
        _compile_table(pattern) for pattern in [*spec.exclude_tables, *(spec.exclude_table_data if rows else [])]
    ]

    def is_imported(schema: str, name: str) -> bool:
        if schema in excluded_schemas or (included and not _matches_any(included, schema)):
            return False
        if _matches_any(excluded, schema):
            return False
        return not any(_matches_table(pattern, schema, name, user) for pattern in table_patterns)

    return is_imported


def find_exclusion(filter_: Filter | None, schema: str, name: str, user: str = "") -> str | None:
    """Returns why a filter excludes a relation, naming the field of spec.filter, or None."""
    spec = filter_ or Filter()
    if spec.include_schemas and not _matches_any(_compile_all(spec.include_schemas), schema):
        return "spec.filter.includeSchemas does not name its schema"
    if _matches_any(_compile_all(spec.exclude_schemas), schema):
        return "spec.filter.excludeSchemas leaves it out"
    patterns = (_compile_table(pattern) for pattern in spec.exclude_tables)
    if any(_matches_table(pattern, schema, name, user) for pattern in patterns):
        return "spec.filter.excludeTables leaves it out"
    return None


def compile_patterns(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Returns a function that tells whether a name matches one of the patterns."""
    compiled = _compile_all(patterns)
    return lambda name: _matches_any(compiled, name)


def find_unmatched_extension(filter_: Filter | None, extensions: Collection[str]) -> str | None:
    """Returns field and text of the first pattern for extensions that matches nothing."""
    for pattern in filter_.exclude_extensions if filter_ is not None else ():
        if not any(_compile(pattern).fullmatch(name) for name in extensions):
            return f"excludeExtensions: {pattern}"
    return None


def find_partitions(tables: Collection[int], parents: Mapping[int, int]) -> set[int]:
    """Returns the partitions of these tables, at any depth. `parents`: partition → its partitioned table."""
    partitions: set[int] = set()
    for partition in parents:
        ancestor = partition
        while ancestor in parents:
            ancestor = parents[ancestor]
            if ancestor in tables:
                partitions.add(partition)
                break
    return partitions


def find_unmatched_pattern(
    filter_: Filter, schemas: Collection[str], relations: Collection[tuple[int, str, str]], user: str = ""
) -> str | None:
    """Returns field and text of the first pattern that matches nothing: most likely it is misspelt."""
    schema_fields = (("includeSchemas", filter_.include_schemas), ("excludeSchemas", filter_.exclude_schemas))
    for field, patterns in schema_fields:
        for pattern in patterns:
            if not any(_compile(pattern).fullmatch(name) for name in schemas):
                return f"{field}: {pattern}"
    table_fields = (("excludeTables", filter_.exclude_tables), ("excludeTableData", filter_.exclude_table_data))
    for field, patterns in table_fields:
        for pattern in patterns:
            table_pattern = _compile_table(pattern)
            if not any(_matches_table(table_pattern, schema, name, user) for _, schema, name in relations):
                return f"{field}: {pattern}"
    return None


def _compile_all(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [_compile(pattern) for pattern in patterns]


def _matches_any(patterns: Iterable[re.Pattern[str]], name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)


def _matches_table(pattern: TablePattern, schema: str, name: str, user: str) -> bool:
    schema_pattern, name_pattern = pattern
    schema_matches = schema in {"public", user} if schema_pattern is None else schema_pattern.fullmatch(schema)
    return bool(schema_matches and name_pattern.fullmatch(name))


def _compile_table(pattern: str) -> TablePattern:
    *schema, name = _split_at_dots(pattern)
    return (_compile(schema[-1]) if schema else None), _compile(name)


def _split_at_dots(pattern: str) -> list[str]:
    """Splits at the dots that are not quoted."""
    return re.findall(r'(?:"(?:[^"]|"")*"|[^".])+', pattern) or [""]


def _compile(pattern: str) -> re.Pattern[str]:
    """Compiles a pattern of pg_dump: * and ? as in a shell, unquoted letters in lower case, the rest as in a regex."""
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
