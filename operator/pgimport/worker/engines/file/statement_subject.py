"""Tells which object a statement of plain SQL creates, changes or fills. Pure.

pg_dump writes kind, schema and name of each entry into a comment before it. A statement without this comment, as in
files that a tool has edited, is judged by its tokens.
"""

import re
from dataclasses import dataclass, replace

from pgimport.worker.archive.constraint_names import ConstraintNames
from pgimport.worker.archive.sql_tokens import SqlToken, find_top_level_tokens, scan_tokens
from pgimport.worker.engines.file.search_path import TEMPORARY, SearchPath
from pgimport.worker.engines.file.token_reader import TokenReader

_ENTRY_COMMENT = re.compile(
    r"^-- (?:Data for )?Name: (.*); Type: ([A-Z][A-Z ]*); Schema: (.*); Owner: .*$", re.MULTILINE
)
# Words between CREATE and the kind of the object.
_CREATE_OPTIONS = frozenset(
    {
        "or",
        "replace",
        "unique",
        "unlogged",
        "temporary",
        "temp",
        "global",
        "local",
        "recursive",
        "trusted",
        "procedural",
        "constraint",
        "default",
    }
)
_WITHOUT_SCHEMA = frozenset(
    {"SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE", "CAST", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "SERVER",
     "USER MAPPING", "FOREIGN DATA WRAPPER", "ACCESS METHOD", "TRANSFORM", "DATABASE", "ROLE", "USER", "GROUP",
     "TABLESPACE", "LARGE OBJECT"}
)  # fmt: skip
# Objects that ALTER creates.
_ALTERED_ENTRIES = frozenset(
    {"CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "DEFAULT", "INDEX ATTACH", "SEQUENCE OWNED BY", "TABLE ATTACH"}
)
ON_A_RELATION = frozenset({"TRIGGER", "RULE", "POLICY"})
WITH_ARGUMENTS = frozenset({"FUNCTION", "PROCEDURE", "AGGREGATE", "ROUTINE"})


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a statement, named as the table of contents of an archive would: kind, schema and tag."""

    kind: str
    schema: str  # empty where the kind has none
    tag: str  # for most kinds the name; `orders orders_pkey` for what belongs to a table
    relation: str | None = None  # name of the table that it belongs to, in the same schema
    definition: str | None = None  # of INDEX ATTACH: it names the partitioned index
    is_exact: bool = True  # whether the tag is that of the catalogs; the arguments of a function may have names

    @property
    def title(self) -> str:
        """Kind and name for messages: `TABLE public.orders`, `TRIGGER public.orders audit`, `EVENT TRIGGER watch`."""
        return f"{self.kind} {self.schema}.{self.tag}" if self.schema else f"{self.kind} {self.tag}"

    @property
    def is_entry(self) -> bool:
        """Whether ALTER creates the object, which has its own archive entry, as in `ALTER TABLE … ADD CONSTRAINT`."""
        return self.kind in _ALTERED_ENTRIES

    @property
    def name(self) -> str:
        """The name without a function's arguments and without a table in front."""
        if self.kind in WITH_ARGUMENTS:
            return self.tag.partition("(")[0]
        return self.tag.removeprefix(f"{self.relation} ") if self.relation else self.tag


def parse_entry_comment(comments: str) -> Subject | None:
    """Returns kind, schema and tag of the last entry that pg_dump announces in these comments."""
    matches = _ENTRY_COMMENT.findall(comments)
    if not matches:
        return None
    tag, kind, schema = matches[-1]
    return Subject(kind, "" if schema == "-" else schema, tag)


def parse_subject(definition: str, path: SearchPath = SearchPath()) -> Subject | None:  # noqa: B008 (it is frozen)
    """Returns the object of the statement, or None for a statement without one, such as SET.

    `path`: finds the schemas of names without one. The subject of ALTER is the altered object. Exceptions are what has
    an entry of its own in a table of contents: a constraint, a default, an attached partition.
    """
    tokens = list(scan_tokens(definition))
    if not tokens:
        return None
    reader = TokenReader(tokens, 1, path)
    match tokens[0].text:
        case "create":
            while reader.at < len(tokens) and tokens[reader.at].is_(*_CREATE_OPTIONS):
                if tokens[reader.at].is_("temp", "temporary"):
                    reader.path = SearchPath((TEMPORARY,), path.names)
                reader.at += 1
            return _read_object(reader)
        case "alter" | "drop":
            reader.skip("procedural")
            return _read_altered(reader) if tokens[0].text == "alter" else _read_object(reader)
        case "comment" if reader.skip("on"):
            return _read_comment(reader)
        case "security" if reader.find("on"):
            return replace(_read_comment(reader), kind="SECURITY LABEL")
        case "copy" | "insert":
            reader.skip("into")
            return Subject("TABLE DATA", *reader.name())
        case "refresh" if reader.skip("materialized", "view"):
            return Subject("MATERIALIZED VIEW DATA", *reader.name())
        case "select":
            return _read_created_by_query(tokens, path) or _read_setval(tokens, path)
    return None


def _read_object(reader: TokenReader) -> Subject | None:
    kind = reader.kind()
    if kind is None:
        return None
    reader.skip("concurrently")
    _ = reader.skip("if", "not", "exists") or reader.skip("if", "exists")
    if kind in ON_A_RELATION:
        name = reader.word()
        while reader.find("on", "to"):
            if (
                kind == "RULE"
                and reader.tokens[reader.at - 1].is_("on")
                and reader.tokens[reader.at :][:1]
                and (reader.tokens[reader.at].is_("select", "insert", "update", "delete"))
            ):
                continue
            return _on_relation(kind, reader, name)
        return Subject(kind, "", name)
    if kind == "INDEX":
        return _read_index(reader)
    if kind == "CAST":
        return Subject("CAST", "", f"CAST ({_take_parentheses(reader)})")
    if kind == "USER MAPPING":
        words = [
            token.text.upper() if token.is_("server") else token.text
            for token in reader.tokens[reader.at + 1 : reader.at + 4]
        ]
        return Subject(kind, "", " ".join(["USER MAPPING", *words]))
    if kind == "TRANSFORM":
        reader.skip("for")
    if kind == "STATISTICS" and (reader.is_("on") or reader.is_("(")):
        return Subject(kind, reader.path.schemas[0], "")
    if kind == "SCHEMA":
        reader.skip("authorization")  # the schema is named as its owner
    schema, name = reader.name(is_new=reader.tokens[0].is_("create"))
    if kind in WITH_ARGUMENTS:
        name += f"({_take_parentheses(reader)})"
    if kind == "TYPE" and reader.is_(";") and reader.tokens[0].is_("create"):
        kind = "SHELL TYPE"  # its functions are created before the type itself
    return Subject(kind, "" if kind in _WITHOUT_SCHEMA else schema, name)


def _on_relation(kind: str, reader: TokenReader, name: str) -> Subject:
    reader.skip("only")
    schema, relation = reader.name()
    return Subject(kind, schema, f"{relation} {name}", relation)


def _read_index(reader: TokenReader) -> Subject:
    name_schema, name = ("", "") if reader.is_("on") else reader.name()
    if not reader.find("on"):
        return Subject("INDEX", name_schema, name)  # DROP INDEX, ALTER INDEX
    reader.skip("only")
    schema, relation = reader.name()
    return Subject("INDEX", schema, name, relation or None)


def _take_parentheses(reader: TokenReader) -> str:
    if not reader.skip("("):
        return ""
    depth, texts = 1, list[str]()
    while reader.at < len(reader.tokens):
        token = reader.tokens[reader.at]
        depth += token.is_("(") - token.is_(")")
        reader.at += 1
        if depth == 0:
            break
        texts.append(token.text)
    return re.sub(r" ?([.,()\[\]]) ?", lambda match: ", " if match[1] == "," else match[1], " ".join(texts))


def _read_altered(reader: TokenReader) -> Subject | None:
    kind = reader.kind()
    if kind is None:
        return None
    if kind in ON_A_RELATION or kind == "INDEX":
        return _read_altered_index(reader) if kind == "INDEX" else _read_object_of(kind, reader)
    _ = reader.skip("if", "exists")
    reader.skip("only")
    schema, name = reader.name()
    if kind in ("TABLE", "FOREIGN TABLE"):
        return _read_altered_table(kind, reader, schema, name)
    if kind == "SEQUENCE" and reader.is_("owned", "by"):
        return Subject("SEQUENCE OWNED BY", schema, name)
    if kind in WITH_ARGUMENTS:
        name += f"({_take_parentheses(reader)})"
    return Subject(kind, "" if kind in _WITHOUT_SCHEMA else schema, name)


def _read_object_of(kind: str, reader: TokenReader) -> Subject:
    name = reader.word()
    reader.skip("on")
    return _on_relation(kind, reader, name)


def _read_altered_index(reader: TokenReader) -> Subject:
    reader.skip("if", "exists")
    schema, name = reader.name()
    if reader.skip("attach", "partition"):
        return Subject("INDEX ATTACH", *reader.name())
    return Subject("INDEX", schema, name)


def _read_altered_table(kind: str, reader: TokenReader, schema: str, name: str) -> Subject:
    if reader.skip("attach", "partition"):
        return Subject("TABLE ATTACH", *reader.name())
    if reader.skip("add", "constraint"):
        constraint = reader.word()
        constraint_kind = "CONSTRAINT"
        if reader.is_("foreign"):
            constraint_kind = "FK CONSTRAINT"
        elif reader.is_("check") or reader.is_("not"):
            constraint_kind = "CHECK CONSTRAINT"
        return Subject(constraint_kind, schema, f"{name} {constraint}", name)
    if reader.is_("add", "foreign"):
        constraint = ConstraintNames(name, []).choose(reader.tokens[reader.at + 1 :])
        return Subject("FK CONSTRAINT", schema, f"{name} {constraint}", name)
    if reader.skip("alter"):
        reader.skip("column")
        column = reader.word()
        if reader.is_("set", "default"):
            return Subject("DEFAULT", schema, f"{name} {column}", name)
    if any(reader.is_(word, "row", "level", "security") for word in ("enable", "disable", "force")) or (
        reader.is_("no", "force")
    ):
        return Subject("ROW SECURITY", schema, name)
    return Subject(kind, schema, name)


def _read_comment(reader: TokenReader) -> Subject:
    """Returns the commented object, with the kind COMMENT in front of its kind: `COMMENT public.TABLE orders`."""
    begin = reader.at
    kind = reader.kind()
    if kind is None and reader.skip("constraint"):
        name = reader.word()
        reader.skip("on")
        reader.skip("domain")
        schema, relation = reader.name()
        return Subject("COMMENT", schema, f"CONSTRAINT {name} ON {relation}", relation)
    if kind == "COLUMN":
        parts = [reader.word()]
        while reader.skip("."):
            parts.append(reader.word())
        schema = parts[-3] if len(parts) > 2 else reader.path.find("".join(parts[-2:-1]))
        return Subject("COMMENT", schema, f"COLUMN {'.'.join(parts[-2:])}", parts[-2] if len(parts) > 1 else None)
    if kind in ON_A_RELATION:
        subject = _read_object_of(kind, reader)
        return Subject("COMMENT", subject.schema, f"{kind} {subject.name} ON {subject.relation}", subject.relation)
    reader.at = begin
    subject = _read_object(reader) or Subject("OBJECT", "", "")
    return Subject("COMMENT", subject.schema, f"{subject.kind} {subject.tag}")


def _read_created_by_query(tokens: list[SqlToken], path: SearchPath) -> Subject | None:
    """Returns the table of `SELECT … INTO t FROM …`."""
    listed = list(find_top_level_tokens(tokens))
    begin = next((index for index, token in enumerate(listed) if token.is_("into")), None)
    if begin is None or listed[begin - 1].is_("."):
        return None
    reader = TokenReader(listed, begin + 1, path)
    while reader.is_("temp") or reader.is_("temporary"):
        reader.path = SearchPath((TEMPORARY,))
        reader.at += 1
    _ = reader.skip("unlogged")
    reader.skip("table")
    return Subject("TABLE", *reader.name(is_new=True))


def _read_setval(tokens: list[SqlToken], path: SearchPath) -> Subject | None:
    words = [token.text for token in tokens[:5]]
    if "setval" not in words:
        return None
    content = next((token.content for token in tokens if token.content), "")
    return Subject("SEQUENCE SET", *TokenReader(list(scan_tokens(content)), 0, path).name())


def find_owner_names(subject: Subject) -> set[tuple[str, str]]:
    """Returns schema and name of what the statement belongs to."""
    if subject.kind != "COMMENT":
        return {(subject.schema, subject.name), (subject.schema, subject.tag)}
    names = {(subject.schema, subject.relation)} if subject.relation else set()
    kind_end = subject.tag.rfind(" ON ")
    if subject.relation and kind_end > 0:  # `CONSTRAINT c ON t`
        return names | {(subject.schema, f"{subject.relation} {subject.tag[:kind_end].rpartition(' ')[2]}")}
    words = subject.tag.split(" ")
    name = next((index for index, word in enumerate(words) if not word.isupper()), len(words) - 1)
    return names | {(subject.schema, " ".join(words[name:]).partition("(")[0])}
