"""What a role without superuser's rights can never make: kind and definition come in, the reason goes out. Pure.

The source of each rule is the server itself (`CREATE FUNCTION`, `CREATE TYPE` … in PostgreSQL's reference). What is
not known here fails at the restore, by name; nothing here is a fence.
"""

import re

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
    {"allow_in_place_tablespaces", "allow_system_table_mods", "backtrace_functions", "commit_delay",
     "compute_query_id", "deadlock_timeout", "debug_discard_caches", "dynamic_library_path",
     "extension_control_path", "ignore_checksum_failure", "jit_dump_bitcode", "lo_compat_privileges",
     "log_duration", "log_error_verbosity", "log_executor_stats", "log_lock_failures", "log_lock_waits",
     "log_min_duration_sample", "log_min_duration_statement", "log_min_error_statement", "log_min_messages",
     "log_parameter_max_length", "log_parser_stats", "log_planner_stats", "log_replication_commands",
     "log_statement", "log_statement_sample_rate", "log_statement_stats", "log_temp_files",
     "log_transaction_sample_rate", "max_stack_depth", "session_preload_libraries", "session_replication_role",
     "temp_file_limit", "track_activities", "track_cost_delay_timing", "track_counts", "track_functions",
     "track_io_timing", "track_wal_io_timing", "update_process_title", "wal_compression",
     "wal_consistency_checking", "wal_init_zero", "wal_recycle", "zero_damaged_pages"}
)  # fmt: skip
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<dollar> \$(?P<tag>[A-Za-z_\x80-\U0010ffff]?[A-Za-z0-9_\x80-\U0010ffff]*)\$.*?\$(?P=tag)\$ )
    | (?P<text> [EeBbXx]?'(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<sign> [^\s\w] )
    """,
    re.VERBOSE | re.DOTALL,
)


def parse_words(definition: str) -> list[str]:
    """A statement's words in lower case, signs as they are, names without quotes, texts and bodies as `''`."""
    found = []
    for match in _TOKEN.finditer(definition):
        kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
        if kind == "word":
            found.append(match[0].lower())
        elif kind == "name":
            found.append(match[0][1:-1].replace('""', '"'))
        elif kind in ("text", "dollar"):
            found.append("''")
        elif kind == "sign":
            found.append(match[0])
    return found


def why_unmakeable(kind: str, definition: str) -> str | None:
    """None where an ordinary role can make it."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in ("FUNCTION", "PROCEDURE"):
        return _judge_function(parse_words(definition))
    if kind == "TYPE":
        return f"{_ONLY} a base type" if _is_base_type(parse_words(definition)) else None
    if kind == "CAST":
        words = parse_words(definition)
        return f"{_ONLY} a cast without a function" if _has(words, "without", "function") else None
    if kind == "AGGREGATE":
        words = parse_words(definition)
        return f"{_ONLY} an aggregate with internal state" if _has(words, "stype", "=", "internal") else None
    return None


def _judge_function(words: list[str]) -> str | None:
    head = words[: next((at for at, word in enumerate(words) if word in ("as", "begin", "return")), len(words))]
    language = head[head.index("language") + 1] if "language" in head[:-1] else "sql"
    if language in UNTRUSTED:
        return f"{_ONLY} a function in the language {language}"
    if "leakproof" in head and not _has(head, "not", "leakproof"):
        return f"{_ONLY} a LEAKPROOF function"
    for at, word in enumerate(head[:-1]):
        if word == "set" and head[at + 1] in PRIVILEGED_SETTINGS:
            return f"{_ONLY} a function that sets {head[at + 1]}"
    return None


def _is_base_type(words: list[str]) -> bool:
    """`CREATE TYPE s.t (INPUT = …)` or `CREATE TYPE s.t;`: composite, enum and range types say AS."""
    return "as" not in words[:7]


def _has(words: list[str], *wanted: str) -> bool:
    size = len(wanted)
    return any(tuple(words[at : at + size]) == wanted for at in range(len(words) - size + 1))


def policy_roles(definition: str) -> list[str]:
    """The roles that `CREATE POLICY … TO …` names; none for PUBLIC, whom a policy means without TO."""
    words = parse_words(definition)
    if "to" not in words:
        return []
    roles = []
    for word in words[words.index("to") + 1 :]:
        if word in ("using", "with", ";", "("):
            break
        if word != ",":
            roles.append(word)
    return [] if roles == ["public"] else roles
