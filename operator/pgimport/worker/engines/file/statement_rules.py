"""Decides for each statement of plain SQL whether it runs at once, later, or never. Pure.

The rules are the same as for an archive's entries (`archive/selection.py`), but use the statement's tokens. Unknown
statements run too. This is not a security boundary: all statements run as the attempt's role.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from pgimport.model.database_settings import NOT_CARRIED, is_carried
from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.selection import SKIPPED_KINDS
from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens
from pgimport.worker.archive.superuser_only import find_policy_roles
from pgimport.worker.engines.file.statement_subject import Subject
from pgimport.worker.engines.file.table_actions import only_drops

HEAD = 65536  # bytes of a statement that are parsed
# Settings that belong to the server that was dumped or to the session of its restore, and those that would change what
# psql reports. Roles and tablespaces are not copied. Triggers do not exist yet while rows are copied. A timeout would
# end statements that only take longer at the target, and psql's session, which has none, waits between statements.
_IGNORED_SETTINGS = frozenset(
    {
        "client_min_messages",
        "default_tablespace",
        "default_with_oids",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "lock_timeout",
        "role",
        "session",
        "session_replication_role",
        "statement_timeout",
        "temp_tablespaces",
        "transaction_timeout",
    }
)
_SILENT_VERBS = frozenset({"grant", "revoke", "reassign"})
# Not copied and not listed: the operator created them, or no import copies them.
_SILENT_KINDS = frozenset({"DATABASE", "EXTENSION", "GROUP", "ROLE", "TABLESPACE", "USER"})
# Statements whose failure loses nothing: the shadow is empty at first, and ANALYZE runs later.
_TOLERATED_VERBS = frozenset(
    {"analyze", "checkpoint", "close", "cluster", "declare", "discard", "drop", "explain", "fetch", "listen", "load",
     "lock", "move", "notify", "reindex", "show", "truncate", "unlisten", "vacuum"}
)  # fmt: skip
_ROW_CHANGES = frozenset({"delete", "drop", "merge", "truncate", "update"})
_UNKNOWN_EFFECTS = frozenset({"call", "do", "execute", "explain", "with"})
_FIRST_TOKENS = 20  # of a statement, which tell what it does
_KNOWN_FUNCTIONS = frozenset({"loread", "lowrite", "set_config", "setval"})
_ROW_SECURITY_KINDS = frozenset({"POLICY", "ROW SECURITY"})
_CONSTRAINT_KINDS = frozenset({"CHECK CONSTRAINT", "CONSTRAINT", "FK CONSTRAINT"})
_POSTPONED_KINDS = frozenset({"FK CONSTRAINT", "RULE", "TRIGGER"})


# pg_dump writes such a view where two objects need each other, and in front of DROP VIEW. The view itself follows.
_PLACEHOLDER_VIEW = re.compile(r"CREATE (?:OR REPLACE )?VIEW [^;]* AS\s+SELECT\s+NULL::")


class RestoreTime(Enum):
    """When a statement runs."""

    NOW = "now"
    POSTPONED = "postponed"  # after all rows of the file
    LAST = "last"  # after the rows were counted
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """Decision about one statement.

    `skipped`: object to report as skipped. `tolerated`: an error of the statement is ignored.
    """

    when: RestoreTime
    skipped: SkippedObject | None = None
    tolerated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What the rules know of the target and of the source's provider."""

    present_schemas: frozenset[str] = frozenset({"public"})
    roles: frozenset[str] | None = None  # None if unknown
    skipped_schemas: Mapping[str, str] = field(default_factory=dict)  # schema → why its objects are skipped


_NOW, _POSTPONED, _LAST, _NEVER, _TOLERATED = (
    StatementVerdict(RestoreTime.NOW),
    StatementVerdict(RestoreTime.POSTPONED),
    StatementVerdict(RestoreTime.LAST),
    StatementVerdict(RestoreTime.NEVER),
    StatementVerdict(RestoreTime.NOW, tolerated=True),
)


def judge_statement(definition: str, subject: Subject | None, target: TargetFacts) -> StatementVerdict:
    """Decides when the statement runs. `definition`: its first HEAD bytes as text. Pure."""
    tokens = parse_tokens(definition)
    verb = tokens[0] if tokens else ""
    if verb in ("set", "reset"):
        return _judge_setting(tokens)
    if verb in _SILENT_VERBS or tokens[:3] == ["alter", "default", "privileges"]:
        return _NEVER
    if verb == "alter" and (tokens[-4:-2] == ["owner", "to"] or _only_moves(tokens)):
        return _NEVER
    if verb == "drop":
        return _judge_drop(tokens, subject, target)
    if verb == "select":
        return _judge_select(tokens, definition)
    if subject is None:
        return _TOLERATED if verb in _TOLERATED_VERBS else _NOW
    return _judge_object(verb, tokens, definition, subject, target)


def may_change_rows(definition: str, *, has_rows: bool) -> bool:
    """Whether the statement may change rows that a COPY has brought, or add some. Pure.

    `has_rows`: whether a COPY or INSERT is in front of it.
    """
    tokens = [token.text for token in islice(scan_tokens(definition), _FIRST_TOKENS)]
    verb = tokens[0] if tokens else ""
    if verb == "select":
        return not any(word in _KNOWN_FUNCTIONS or word.startswith(("lo_", "pg_restore_")) for word in tokens[:8])
    changes_rows = verb in _ROW_CHANGES or (verb == "alter" and "detach" in tokens)  # of the table above the partition
    return verb in _UNKNOWN_EFFECTS or (has_rows and changes_rows)


def _only_moves(tokens: list[str]) -> bool:
    """Whether ALTER does nothing but set a tablespace. pg_dump does not write that for a table or index."""
    words = [word for word in tokens if word not in (";", "nowait")]
    return words[-3:-1] == ["set", "tablespace"] and "," not in words


def _judge_setting(tokens: list[str]) -> StatementVerdict:
    name = next((token for token in tokens[1:] if token not in ("local", "session")), "")
    if tokens[1:3] == ["session", "authorization"] or tokens[1:2] == ["role"]:
        return _NEVER
    return _NEVER if name in _IGNORED_SETTINGS else _NOW


def _judge_drop(tokens: list[str], subject: Subject | None, target: TargetFacts) -> StatementVerdict:
    """Runs what `pg_dump --clean` writes, and ignores its errors. The schemas that the operator made stay."""
    if subject is None or subject.kind in _SILENT_KINDS or subject.kind in SKIPPED_KINDS or tokens[1:2] == ["owned"]:
        return _NEVER
    if subject.kind == "POLICY":
        return StatementVerdict(RestoreTime.LAST, tolerated=True)  # policies are created then
    return _NEVER if subject.kind == "SCHEMA" and subject.tag in target.present_schemas else _TOLERATED


def _judge_select(tokens: list[str], definition: str) -> StatementVerdict:
    words = set(tokens[:8])
    if "set_config" in words and find_configured(definition) in _IGNORED_SETTINGS:
        return _NEVER
    if any(word.startswith("pg_restore_") for word in words):
        return _NEVER  # planner statistics: ANALYZE makes them anew
    return _TOLERATED if "lo_unlink" in words else _NOW


def find_configured(definition: str) -> str:
    """Returns the setting that `SELECT set_config('setting', 'value', false)` changes. Pure."""
    return next((token.content for token in scan_tokens(definition) if token.text == "''"), "").lower()


def _judge_object(
    verb: str, tokens: list[str], definition: str, subject: Subject, target: TargetFacts
) -> StatementVerdict:
    kind, name = _find_commented(subject) if verb == "comment" else (subject.kind, subject.tag)
    if (reason := target.skipped_schemas.get(subject.tag if subject.kind == "SCHEMA" else subject.schema)) is not None:
        return _skip(verb, subject, reason)
    if kind in SKIPPED_KINDS:
        return _skip(verb, subject, SKIPPED_KINDS[kind])
    if kind == "DATABASE" and verb == "alter" and "set" in tokens[:-1]:
        setting = Subject("DATABASE SETTING", "", tokens[tokens.index("set") + 1])
        return _NEVER if is_carried(setting.tag) else _skip("create", setting, NOT_CARRIED)
    if kind in _SILENT_KINDS or (kind == "PROCEDURAL LANGUAGE" and name == "plpgsql"):
        return _NEVER
    if kind == "SCHEMA" and verb == "create" and name in target.present_schemas:
        return _NEVER
    if kind == "MATERIALIZED VIEW DATA":
        return _NOW if tokens[-4:-1] == ["with", "no", "data"] else _NEVER
    if verb == "create" and kind == "POLICY":
        return _judge_policy(subject, definition, target)
    if kind in _ROW_SECURITY_KINDS:
        return _LAST
    if is_postponed(verb, kind, tokens):
        return _POSTPONED
    drops_a_part = verb == "alter" and "drop" in tokens and only_drops(definition)
    return _TOLERATED if drops_a_part or _PLACEHOLDER_VIEW.match(definition) else _NOW


def is_postponed(verb: str, kind: str, tokens: list[str]) -> bool:
    """Whether the statement waits for the rows of the whole file, which its object would check or change.

    A file with its schema in front of its rows, as `cat schema.sql data.sql` makes it, disables triggers and foreign
    keys for its rows by settings that need a superuser.
    """
    if verb == "alter" and kind == "TABLE":
        return _changes_part(tokens)
    if kind == "RULE":
        return "_RETURN" not in tokens
    return kind in _POSTPONED_KINDS or (verb == "comment" and kind == "CONSTRAINT")


def _changes_part(tokens: list[str]) -> bool:
    """Whether ALTER TABLE ends with `ENABLE ALWAYS TRIGGER t`, `DISABLE RULE r`, `VALIDATE CONSTRAINT c` or the like.

    Tables and columns can have these words as names too.
    """
    *_, action, kind, name = ["", "", *(word for word in tokens if word != ";")]
    if kind == "constraint":
        return action == "validate"
    is_switch = kind in ("trigger", "rule") and action in ("always", "disable", "enable", "replica")
    return is_switch and name not in ("all", "user")


def _find_commented(subject: Subject) -> tuple[str, str]:
    """Returns kind and name of the object of a COMMENT."""
    kind = next((kind for kind in (*SKIPPED_KINDS, "PROCEDURAL LANGUAGE") if subject.tag.startswith(f"{kind} ")), None)
    kind = kind or subject.tag.partition(" ")[0]
    return kind, subject.tag[len(kind) + 1 :]


def _skip(verb: str, subject: Subject, reason: str) -> StatementVerdict:
    skipped = SkippedObject(object=subject.title, reason=reason, group=SkipGroup.BY_DESIGN)
    is_listed = verb in ("create", "security") or (verb == "alter" and subject.kind in _CONSTRAINT_KINDS)
    return StatementVerdict(RestoreTime.NEVER, skipped if is_listed else None)


def _judge_policy(subject: Subject, definition: str, target: TargetFacts) -> StatementVerdict:
    missing_roles = [] if target.roles is None else sorted(set(find_policy_roles(definition)) - target.roles)
    if not missing_roles:
        return _LAST
    return _skip("create", subject, f"it names a role that the target lacks ({', '.join(missing_roles)})")
