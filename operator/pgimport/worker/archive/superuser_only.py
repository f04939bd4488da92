"""What a role without superuser's rights can never make: kind and definition come in, the reason goes out. Pure.

The source of each rule is the server itself (`CREATE FUNCTION`, `CREATE TYPE` … in PostgreSQL's reference). What is
not known here fails at the restore, by name; nothing here is a fence.
"""

from itertools import pairwise

from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens, top_level_tokens

_ONLY = "only a superuser can make"
_KINDS = {
    "ACCESS METHOD": f"{_ONLY} an access method",
    "OPERATOR CLASS": f"{_ONLY} an operator class",
    "OPERATOR FAMILY": f"{_ONLY} an operator family",
    "PROCEDURAL LANGUAGE": f"{_ONLY} a language",
    "SHELL TYPE": f"{_ONLY} a base type",
    "TEXT SEARCH PARSER": f"{_ONLY} a text search parser",
    "TEXT SEARCH TEMPLATE": f"{_ONLY} a text search template",
    "TRANSFORM": "a transform needs functions that only a superuser can make",
}
UNTRUSTED = frozenset({"c", "internal", "plperlu", "pltclu", "plpythonu", "plpython2u", "plpython3u", "plrustu"})
# pg_settings.context = 'superuser', of all majors from 15 to 18; a function cannot be made to set one of them.
PRIVILEGED_SETTINGS = frozenset(
    {
        "allow_in_place_tablespaces",
        "allow_system_table_mods",
        "backtrace_functions",
        "commit_delay",
        "compute_query_id",
        "deadlock_timeout",
        "debug_discard_caches",
        "dynamic_library_path",
        "extension_control_path",
        "ignore_checksum_failure",
        "jit_dump_bitcode",
        "lo_compat_privileges",
        "log_duration",
        "log_error_verbosity",
        "log_executor_stats",
        "log_lock_failures",
        "log_lock_waits",
        "log_min_duration_sample",
        "log_min_duration_statement",
        "log_min_error_statement",
        "log_min_messages",
        "log_parameter_max_length",
        "log_parser_stats",
        "log_planner_stats",
        "log_replication_commands",
        "log_statement",
        "log_statement_sample_rate",
        "log_statement_stats",
        "log_temp_files",
        "log_transaction_sample_rate",
        "max_stack_depth",
        "session_preload_libraries",
        "session_replication_role",
        "temp_file_limit",
        "track_activities",
        "track_cost_delay_timing",
        "track_counts",
        "track_functions",
        "track_io_timing",
        "track_wal_io_timing",
        "update_process_title",
        "wal_compression",
        "wal_consistency_checking",
        "wal_init_zero",
        "wal_recycle",
        "zero_damaged_pages",
    }
)


def find_superuser_reason(kind: str, definition: str) -> str | None:
    """None where an ordinary role can make it."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in ("FUNCTION", "PROCEDURE"):
        return _judge_function(definition)
    if kind == "TYPE":
        return f"{_ONLY} a base type" if _is_base_type(parse_tokens(definition)) else None
    if kind == "CAST":
        words = parse_tokens(definition)
        return f"{_ONLY} a cast without a function" if _has(words, "without", "function") else None
    if kind == "AGGREGATE":
        words = parse_tokens(definition)
        return f"{_ONLY} an aggregate with internal state" if _has(words, "stype", "=", "internal") else None
    return None


def _judge_function(definition: str) -> str | None:
    """Names and arguments may be called anything; what decides stands after them, before the body."""
    words = list(top_level_tokens(scan_tokens(definition)))
    begin = next((at for at, word in enumerate(words) if word.is_("(")), 0)
    head = words[begin:]
    head = head[: next((at for at, word in enumerate(head) if word.is_("as", "begin", "return")), len(head))]
    language, security = "sql", ""
    for word, after in pairwise(head):
        if word.is_("language"):
            language = after.text
        if after.is_("leakproof"):
            security = "" if word.is_("not") else f"{_ONLY} a LEAKPROOF function"
        if word.is_("set") and after.text.lower() in PRIVILEGED_SETTINGS:
            security = security or f"{_ONLY} a function that sets {after.text.lower()}"
    if language in UNTRUSTED:
        return f"{_ONLY} a function in the language {language}"
    return security or None


def _is_base_type(words: list[str]) -> bool:
    """`CREATE TYPE s.t (INPUT = …)` or `CREATE TYPE s.t;`: composite, enum and range types say AS."""
    return "as" not in words[:7]


def _has(words: list[str], *wanted: str) -> bool:
    size = len(wanted)
    return any(tuple(words[at : at + size]) == wanted for at in range(len(words) - size + 1))


def policy_roles(definition: str) -> list[str]:
    """The roles that `CREATE POLICY … TO …` names; none for PUBLIC, whom a policy means without TO."""
    words = list(top_level_tokens(scan_tokens(definition)))
    begin = next((at for at, word in enumerate(words) if word.is_("to")), None)
    if begin is None:
        return []
    roles = []
    for word in words[begin + 1 :]:
        if word.is_("using", "with", ";", "("):
            break
        if not word.is_(","):
            roles.append(word)
    return [] if [role.text for role in roles] == ["public"] else [role.text for role in roles]
