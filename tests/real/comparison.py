"""Compares what an import skipped with what a case expects."""

import re
from collections import Counter
from collections.abc import Container, Iterable

from tests.real.imports import Skipped
from tests.support.object_zoo.skipped_parts import RELATION

# Kinds that the source lists separately, but that are part of another object.
_PARTS = (
    "DEFAULT ",
    "SEQUENCE OWNED BY ",
    "SEQUENCE SET ",
    "TABLE DATA ",
    "COMMENT ",
    "ACL ",
    "INDEX ATTACH ",
    "PUBLICATION TABLE ",
    "CONSTRAINT ",
    "FK CONSTRAINT ",
    "CHECK CONSTRAINT ",
)
_ARGUMENTS = re.compile(r"^((?:FUNCTION|PROCEDURE|AGGREGATE) [^(]*)\(.*$")


def find_unexpected(skipped: Iterable[Skipped], expected: Iterable[str]) -> list[str]:
    """Lists what is skipped and not expected, expected and not skipped, or listed twice.

    Parts of skipped objects, such as the default of a skipped table, may be listed or not.
    """
    titles = Counter(_shorten(entry.title) for entry in skipped)
    expected_titles = {_shorten(title) for title in expected}
    relations = {match["name"] for title in titles if (match := RELATION.match(title))}
    unexpected = [f"listed {count} times: {title}" for title, count in titles.items() if count > 1]
    unexpected += [f"not listed: {title}" for title in sorted(expected_titles - titles.keys())]
    unexpected += [
        f"not expected: {title}" for title in sorted(titles.keys() - expected_titles) if not _is_part(title, relations)
    ]
    return unexpected


def _is_part(title: str, relations: Container[str]) -> bool:
    """Returns whether a title is part of a skipped relation, or an index, which may be part of one."""
    owner = title.removeprefix("SEQUENCE OWNED BY ").split(" ")
    return title.startswith(("SEQUENCE OWNED BY ", "COMMENT ", "INDEX ")) or (
        title.startswith(_PARTS) and any(word in relations for word in owner)
    )


def _shorten(title: str) -> str:
    """Removes quotes and the arguments of a function, which a plain dump may not tell."""
    return _ARGUMENTS.sub(r"\1", title.replace('"', ""))
