"""No message or hint tells people to drop or delete something: the server may be that of their production."""

import ast
import re
from pathlib import Path

import pgimport

SOURCES = Path(pgimport.__file__).parent
DESTRUCTIVE = re.compile(
    r"\b[Rr]un (DROP|TRUNCATE|DELETE)\b|\b[Dd]rop (the|these|this|that|it|a|an|them)\b|\b[Dd]elete or\b|"
    r"\b(DROP|TRUNCATE) .*;$"
)
STATEMENT = re.compile(r"^(ALTER|CREATE|DROP) ")  # executed in the shadow


def list_texts(path: Path) -> list[str]:
    """Returns the strings of a module that are no docstrings. The parts of an f-string are strings of their own."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in constants if isinstance(node.value, str)]


def test_no_text_tells_to_drop_something() -> None:
    texts = [
        f"{path.relative_to(SOURCES)}: {text}"
        for path in SOURCES.rglob("*.py")
        for text in list_texts(path)
        if DESTRUCTIVE.search(text) and not STATEMENT.match(text)
    ]
    assert texts == []
