"""Decides for each statement of plain SQL whether it runs at once, after the rows were counted, or never. Pure.

The rules are the same as for an archive's entries (`archive/selection.py`), but use the statement's tokens. Unknown
statements run too. This is not a security boundary: all statements run as the attempt's role.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.superuser_only import find_policy_roles, find_superuser_reason
from pgimport.worker.postgres.encodings import UTF8
from pgimport.worker.postgres.errors import ImportStopped

HEAD = 65536  # bytes of a statement that are parsed
_ALWAYS_RUN = (b"INSERT ", b"COPY ", b"SELECT ")
_REPLICATION, _REMOTE = "a copy must not take part in replication", "it leads to another server"
_SKIP_REASONS = {
    ("event", "trigger"): "only a superuser can make an event trigger",
    ("publication",): _REPLICATION,
    ("subscription",): _REPLICATION,
    ("server",): _REMOTE,
    ("foreign",): _REMOTE,
    ("user", "mapping"): _REMOTE,
}
# Kinds of which some objects can only be created by a superuser.
_RESTRICTED_KINDS = (
    ("access", "method"),
    ("aggregate",),
    ("cast",),
    ("function",),
    ("operator", "class"),
    ("operator", "family"),
    ("procedure",),
    ("text", "search", "parser"),
    ("text", "search", "template"),
    ("transform",),
    ("type",),
)
_NAMED_KINDS = (("foreign", "data", "wrapper"), ("foreign", "table"), *_SKIP_REASONS, *_RESTRICTED_KINDS)
# Setting that pg_dump writes → first major version of the server that knows it.
_NEWER_SETTINGS = {"transaction_timeout": 17}


class RestoreTime(Enum):
    """When a statement runs."""

    NOW = "now"
    LAST = "last"  # after the rows were counted
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """Decision about one statement.

    `skipped`: object to report as skipped. `refresh_statement`: REFRESH of a materialised view, which runs later.
    """

    when: RestoreTime
    skipped: SkippedObject | None = None
    refresh_statement: str | None = None


_NOW, _LAST, _NEVER = (
    StatementVerdict(RestoreTime.NOW),
    StatementVerdict(RestoreTime.LAST),
    StatementVerdict(RestoreTime.NEVER),
)


def judge_statement(
    text: bytes,
    target_major: int,
    present_schemas: Collection[str],
    target_roles: Collection[str] | None,
    codec: str = UTF8,
) -> StatementVerdict:
    """Decides when the statement runs.

    `present_schemas`: schemas that exist in the target. `target_roles`: None if unknown.

    Raises ImportStopped for a dump made with `--create`.
    """
    if text.startswith(_ALWAYS_RUN):
        return _NOW
    definition = text[:HEAD].decode(codec, "replace")
    tokens = parse_tokens(definition)
    match tokens:
        case ["set", setting, *_] if setting == "default_tablespace" or _NEWER_SETTINGS.get(setting, 0) > target_major:
            return _NEVER
        case ["grant" | "revoke", *_] | ["alter", "default", "privileges", *_] | ["security", "label", *_]:
            return _NEVER
        case ["create", "database", *_] | ["alter", "database", *_]:
            raise ImportStopped(_refuse_create_option())
        case ["create", "extension", *_] | ["comment", "on", "extension", *_]:
            return _NEVER
        case ["create", "schema", name, *_] if name in present_schemas:
            return _NEVER
        case ["comment", "on", "schema", name, *_] if name in present_schemas:
            return _NEVER
        case ["refresh", "materialized", "view", *_]:
            return StatementVerdict(RestoreTime.NEVER, refresh_statement=definition.strip().rstrip(";"))
        case ["comment", "on", "policy", *_]:
            return _LAST
        case ["create", "policy", *_]:
            return _judge_policy(tokens, definition, target_roles)
        case ["alter", *_] if tokens[-4:-2] == ["owner", "to"]:
            return _NEVER
        case ["alter", "table", *_] if "row" in tokens and tokens[-4:-1] == ["row", "level", "security"]:
            return _LAST
        case ["create", "or", "replace", *rest] | ["create", *rest]:
            return _judge_creation(rest, definition)
        case ["alter" | "drop", *rest] | ["comment", "on", *rest]:
            return _NEVER if _find_skip_reason(rest) else _NOW
    return _NOW


def is_comment_on(definition: str, titles: Collection[str]) -> bool:
    """Whether the statement is a comment on one of these objects, or on a column of a foreign table among them."""
    match parse_tokens(definition):
        case ["comment", "on", "column", *name]:
            relation = "".join(name[: name.index("is")] if "is" in name else name).rpartition(".")[0]
            return f"FOREIGN TABLE {relation}" in titles
        case ["comment", "on", *rest]:
            return _build_title(rest) in titles
    return False


def _find_skip_reason(rest: list[str]) -> str | None:
    return next((reason for kind, reason in _SKIP_REASONS.items() if tuple(rest[: len(kind)]) == kind), None)


def _judge_creation(rest: list[str], definition: str) -> StatementVerdict:
    reason = _find_skip_reason(rest)
    if reason is not None:
        return StatementVerdict(RestoreTime.NEVER, SkippedObject(object=_build_title(rest), reason=reason))
    for kind in _RESTRICTED_KINDS:
        if tuple(rest[: len(kind)]) == kind:
            superuser_reason = find_superuser_reason(" ".join(kind).upper(), definition)
            if superuser_reason is not None:
                return StatementVerdict(
                    RestoreTime.NEVER, SkippedObject(object=_build_title(rest), reason=superuser_reason)
                )
    return _NOW


def _judge_policy(tokens: list[str], definition: str, target_roles: Collection[str] | None) -> StatementVerdict:
    missing_roles = [] if target_roles is None else sorted(set(find_policy_roles(definition)) - set(target_roles))
    if not missing_roles:
        return _LAST
    reason = f"it names a role that the target lacks ({', '.join(missing_roles)})"
    return StatementVerdict(RestoreTime.NEVER, SkippedObject(object=_build_title(tokens[1:]), reason=reason))


def _build_title(tokens: list[str]) -> str:
    """Returns the kind in capitals and the name, such as `FUNCTION public.native`."""
    match tokens:
        case ["cast", "(", *rest] if ")" in rest:
            return f"CAST ({' '.join(rest[: rest.index(')')])})"
        case ["user", "mapping", "for", user, "server", server, *_]:
            return f"USER MAPPING {user} SERVER {server}"
    kind = next((tokens[: len(kind)] for kind in _NAMED_KINDS if tuple(tokens[: len(kind)]) == kind), tokens[:1])
    name = ""
    for part in tokens[len(kind) :]:
        if part in ("(", ";") or (name and part != "." and not name.endswith(".")):
            break
        name += part
    return f"{' '.join(kind).upper()} {name}"


def _refuse_create_option() -> Failure:
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        "the dump was made with `pg_dump --create`, so it creates its own database: dump again without --create",
    )
