"""A statement of plain SQL comes in; whether it runs, runs last, or stays behind, and why, goes out. Pure.

The same decisions as for an archive's entries, by a statement's own words. What is not recognised runs, as the
attempt's role: nothing here is a fence.
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

HEAD = 65536  # bytes of a statement whose words are read; a longer one is data
_AT_ONCE = (b"INSERT ", b"COPY ", b"SELECT ")
_ELSEWHERE, _FOREIGN = "it reaches out of the database", "foreign data stays where it is"
_LEFT = {
    ("event", "trigger"): "only a superuser can make an event trigger",
    ("publication",): _ELSEWHERE,
    ("subscription",): _ELSEWHERE,
    ("server",): _FOREIGN,
    ("foreign",): _FOREIGN,
    ("user", "mapping"): _FOREIGN,
}
_KINDS = (
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
_NAMED_KINDS = (("foreign", "data", "wrapper"), ("foreign", "table"), *_LEFT, *_KINDS)
# Of 17 and newer dumps: an older server does not know it.
_NEWER_SETTINGS = {"transaction_timeout": 17}


class RestoreTime(Enum):
    """What becomes of a statement."""

    NOW = "now"
    LAST = "last"  # after the rows were counted
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """`skipped` is worth telling; `refresh_statement` is a materialised view to be filled later."""

    when: RestoreTime
    skipped: SkippedObject | None = None
    refresh_statement: str | None = None


_NOW, _LAST, _NEVER = (
    StatementVerdict(RestoreTime.NOW),
    StatementVerdict(RestoreTime.LAST),
    StatementVerdict(RestoreTime.NEVER),
)


def judge_statement(
    text: bytes, target_major: int, present: Collection[str], roles: Collection[str] | None, codec: str = UTF8
) -> StatementVerdict:
    """`present`: schemas that are there; `roles`: those of the target, None where they are not known.

    Raises Stopped for a dump of `--create`.
    """
    if text.startswith(_AT_ONCE):
        return _NOW
    definition = text[:HEAD].decode(codec, "replace")
    words = parse_tokens(definition)
    match words:
        case ["set", setting, *_] if setting == "default_tablespace" or _NEWER_SETTINGS.get(setting, 0) > target_major:
            return _NEVER
        case ["grant" | "revoke", *_] | ["alter", "default", "privileges", *_] | ["security", "label", *_]:
            return _NEVER
        case ["create", "database", *_] | ["alter", "database", *_]:
            raise ImportStopped(_made_with_create())
        case ["create", "extension", *_] | ["comment", "on", "extension", *_]:
            return _NEVER
        case ["create", "schema", name, *_] if name in present:
            return _NEVER
        case ["comment", "on", "schema", name, *_] if name in present:
            return _NEVER
        case ["refresh", "materialized", "view", *_]:
            return StatementVerdict(RestoreTime.NEVER, refresh_statement=definition.strip().rstrip(";"))
        case ["comment", "on", "policy", *_]:
            return _LAST
        case ["create", "policy", *_]:
            return _judge_policy(words, definition, roles)
        case ["alter", *_] if words[-4:-2] == ["owner", "to"]:
            return _NEVER
        case ["alter", "table", *_] if "row" in words and words[-4:-1] == ["row", "level", "security"]:
            return _LAST
        case ["create", "or", "replace", *rest] | ["create", *rest]:
            return _judge_creation(rest, definition)
        case ["alter" | "drop", *rest] | ["comment", "on", *rest]:
            return _NEVER if _find_left(rest) else _NOW
    return _NOW


def is_comment_on(definition: str, left: Collection[str]) -> bool:
    """Whether it is a comment on one of these (titles), which stay behind, or on a column of one."""
    match parse_tokens(definition):
        case ["comment", "on", "column", *name]:
            relation = "".join(name[: name.index("is")] if "is" in name else name).rpartition(".")[0]
            return f"FOREIGN TABLE {relation}" in left
        case ["comment", "on", *rest]:
            return _title(rest) in left
    return False


def _find_left(rest: list[str]) -> str | None:
    return next((why for kind, why in _LEFT.items() if tuple(rest[: len(kind)]) == kind), None)


def _judge_creation(rest: list[str], definition: str) -> StatementVerdict:
    why = _find_left(rest)
    if why is not None:
        return StatementVerdict(RestoreTime.NEVER, SkippedObject(object=_title(rest), reason=why))
    for kind in _KINDS:
        if tuple(rest[: len(kind)]) == kind:
            unmakeable = find_superuser_reason(" ".join(kind).upper(), definition)
            if unmakeable is not None:
                return StatementVerdict(RestoreTime.NEVER, SkippedObject(object=_title(rest), reason=unmakeable))
    return _NOW


def _judge_policy(words: list[str], definition: str, roles: Collection[str] | None) -> StatementVerdict:
    lacking = [] if roles is None else sorted(set(find_policy_roles(definition)) - set(roles))
    if not lacking:
        return _LAST
    why = f"it names a role that the target lacks ({', '.join(lacking)})"
    return StatementVerdict(RestoreTime.NEVER, SkippedObject(object=_title(words[1:]), reason=why))


def _title(words: list[str]) -> str:
    """`FUNCTION public.native`: kind in capitals, then the name."""
    match words:
        case ["cast", "(", *rest] if ")" in rest:
            return f"CAST ({' '.join(rest[: rest.index(')')])})"
        case ["user", "mapping", "for", user, "server", server, *_]:
            return f"USER MAPPING {user} SERVER {server}"
    kind = next((words[: len(kind)] for kind in _NAMED_KINDS if tuple(words[: len(kind)]) == kind), words[:1])
    name = ""
    for word in words[len(kind) :]:
        if word in ("(", ";") or (name and word != "." and not name.endswith(".")):
            break
        name += word
    return f"{' '.join(kind).upper()} {name}"


def _made_with_create() -> Failure:
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        "the dump was made with --create and makes a database of its own: make it again without --create",
    )
