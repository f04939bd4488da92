"""Lists the settings of a source database that its copy gets. Pure.

Only the settings of this list travel with their values: the values of others may be secrets, and every role of the
target server can read pg_db_role_setting. The list has what changes results or plans of queries. It has no limits of
memory or time, because the target server has its own.
"""

from collections.abc import Iterable

from pgimport.model.result import DatabaseSetting, SkippedObject

# Bytes of one value, and of all values. With its name, a value has at most 64 KiB: so much is kept at a swap.
MAX_VALUE, MAX_ALL_VALUES = 65_408, 524_288
# PostgreSQL 18 sends search_path at each login, and libpq refuses a message of more than 30,000 bytes there.
MAX_SEARCH_PATH = 29_000
MAX_SETTINGS = 400  # more than names in the list, for the database and its owner
MAX_COMMENT = 65_536  # characters of the database's comment

NOT_CARRIED = "it is not in the list of settings that an import copies; set it in the preview if you need it"
_PREFIXES = ("enable_", "geqo", "jit")  # all settings of the planner with these beginnings
_PRIVILEGED = frozenset({"jit_dump_bitcode", "jit_provider", "jit_debugging_support", "jit_profiling_support"})
_NAMES = frozenset(
    {
        # planner
        "constraint_exclusion",
        "cpu_index_tuple_cost",
        "cpu_operator_cost",
        "cpu_tuple_cost",
        "cursor_tuple_fraction",
        "default_statistics_target",
        "effective_cache_size",
        "from_collapse_limit",
        "join_collapse_limit",
        "min_parallel_index_scan_size",
        "min_parallel_table_scan_size",
        "parallel_setup_cost",
        "parallel_tuple_cost",
        "plan_cache_mode",
        "random_page_cost",
        "recursive_worktable_factor",
        "seq_page_cost",
        # formats and locale
        "array_nulls",
        "backslash_quote",
        "bytea_output",
        "datestyle",
        "default_text_search_config",
        "escape_string_warning",
        "extra_float_digits",
        "intervalstyle",
        "lc_monetary",
        "lc_numeric",
        "lc_time",
        "quote_all_identifiers",
        "standard_conforming_strings",
        "timezone",
        "timezone_abbreviations",
        "transform_null_equals",
        "xmlbinary",
        "xmloption",
        # names and behaviour of statements
        "check_function_bodies",
        "default_toast_compression",
        "default_transaction_deferrable",
        "default_transaction_isolation",
        "search_path",
        # extensions
        "hnsw.ef_search",
        "hnsw.iterative_scan",
        "ivfflat.iterative_scan",
        "ivfflat.probes",
        "pg_trgm.similarity_threshold",
        "pg_trgm.strict_word_similarity_threshold",
        "pg_trgm.word_similarity_threshold",
        "plpgsql.check_asserts",
    }
)


def is_carried(name: str) -> bool:
    """Says whether a copy gets a setting of this name from its source."""
    lower = name.lower()
    return lower in _NAMES or (lower.startswith(_PREFIXES) and "." not in lower and lower not in _PRIVILEGED)


def find_length_limit(name: str) -> int:
    """Returns the most bytes that the value of a setting may have."""
    return MAX_SEARCH_PATH if name.lower() == "search_path" else MAX_VALUE


def split_settings(settings: Iterable[DatabaseSetting]) -> tuple[list[DatabaseSetting], list[SkippedObject]]:
    """Returns the settings that the copy gets, and the others by name, without their values."""
    carried: list[DatabaseSetting] = []
    skipped: list[SkippedObject] = []
    total = 0
    for setting in settings:
        size = len(setting.value.encode())
        if not is_carried(setting.name):
            reason = NOT_CARRIED
        elif size > find_length_limit(setting.name) or total + size > MAX_ALL_VALUES:
            reason = (
                f"its value is too long: an import copies values of at most {find_length_limit(setting.name)} bytes"
            )
        else:
            total += size
            carried.append(setting)
            continue
        owner = "OWNER ROLE" if setting.for_owner else "DATABASE"
        skipped.append(SkippedObject(object=f"{owner} SETTING {setting.name}", reason=reason))
    return carried, skipped
