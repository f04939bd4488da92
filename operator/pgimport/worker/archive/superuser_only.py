"""Predicts which objects only a superuser can create. Pure.

The source of each rule is PostgreSQL's reference (`CREATE FUNCTION`, `CREATE TYPE` …). If a rule is missing here,
the restore fails and names the object. This is not a security boundary.
"""

from itertools import pairwise

from pgimport.worker.archive.sql_tokens import find_top_level_tokens, parse_tokens, scan_tokens

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
UNTRUSTED_LANGUAGES = frozenset(
    {"c", "internal", "plperlu", "pltclu", "plpythonu", "plpython2u", "plpython3u", "plrustu"}
)
# Settings with pg_settings.context = 'superuser' in 15 to 18. Only a superuser can create a function that sets one.
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
    """Returns the reason why an ordinary role cannot create the object; None if it can."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in ("FUNCTION", "PROCEDURE"):
        return _judge_function(definition)
    if kind == "TYPE":
        return f"{_ONLY} a base type" if _is_base_type(parse_tokens(definition)) else None
    if kind == "CAST":
        tokens = parse_tokens(definition)
        return f"{_ONLY} a cast without a function" if _contains(tokens, "without", "function") else None
    if kind == "AGGREGATE":
        tokens = parse_tokens(definition)
        return f"{_ONLY} an aggregate with internal state" if _contains(tokens, "stype", "=", "internal") else None
    return None


def _judge_function(definition: str) -> str | None:
    """Judges only the clauses between the arguments and the body, because names and arguments may contain any token."""
    tokens = list(find_top_level_tokens(scan_tokens(definition)))
    begin = next((index for index, token in enumerate(tokens) if token.is_("(")), 0)
    head = tokens[begin:]
    head = head[: next((index for index, token in enumerate(head) if token.is_("as", "begin", "return")), len(head))]
    language, security = "sql", ""
    for token, next_token in pairwise(head):
        if token.is_("language"):
            language = next_token.text
        if next_token.is_("leakproof"):
            security = "" if token.is_("not") else f"{_ONLY} a LEAKPROOF function"
        if token.is_("set") and next_token.text.lower() in PRIVILEGED_SETTINGS:
            security = security or f"{_ONLY} a function that sets {next_token.text.lower()}"
    if language in UNTRUSTED_LANGUAGES:
        return f"{_ONLY} a function in the language {language}"
    return security or None


def _is_base_type(tokens: list[str]) -> bool:
    """True for `CREATE TYPE s.t (INPUT = …)` and `CREATE TYPE s.t;`: composite, enum and range types have AS."""
    return "as" not in tokens[:7]


def _contains(tokens: list[str], *sequence: str) -> bool:
    size = len(sequence)
    return any(tuple(tokens[index : index + size]) == sequence for index in range(len(tokens) - size + 1))


def find_policy_roles(definition: str) -> list[str]:
    """Returns the roles that `CREATE POLICY … TO …` names; empty for PUBLIC, which is the default.

    PUBLIC beside other roles means everybody. CURRENT_USER is the role that restores, so it always exists.
    """
    tokens = list(find_top_level_tokens(scan_tokens(definition)))
    begin = next((index for index, token in enumerate(tokens) if token.is_("to")), None)
    if begin is None:
        return []
    roles = []
    for token in tokens[begin + 1 :]:
        if token.is_("using", "with", ";", "("):
            break
        if not token.is_(","):
            roles.append(token)
    if any(role.is_("public") for role in roles):
        return []
    return [role.text for role in roles if not role.is_("current_role", "current_user", "session_user")]
