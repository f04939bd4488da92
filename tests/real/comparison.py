"""Compares a copy with its source, and what is skipped with what a case expects."""

import re
from collections import Counter
from collections.abc import Container, Iterable

from tests.real.imports import Skipped
from tests.support.object_zoo.content import Content

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
_RELATION = re.compile(r"^(?:TABLE|MATERIALIZED VIEW|FOREIGN TABLE|VIEW) (?P<name>\S+)$")
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \S+ ON (?:ONLY )?(?P<table>\S+) ")
_ARGUMENTS = re.compile(r"^((?:FUNCTION|PROCEDURE|AGGREGATE) [^(]*)\(.*$")
_CHECK = re.compile(r"^CHECK CONSTRAINT (?P<owner>\S+) (?P<name>.+)$")
_DEFAULT = re.compile(r"^DEFAULT (?P<owner>\S+) (?P<name>.+)$")


def find_unexpected(skipped: Iterable[Skipped], expected: Iterable[str]) -> list[str]:
    """Lists what is skipped and not expected, expected and not skipped, or listed twice.

    Parts of skipped objects, such as the default of a skipped table, may be listed or not.
    """
    titles = Counter(_shorten(entry.title) for entry in skipped)
    wanted = {_shorten(title) for title in expected}
    relations = {match["name"] for title in titles if (match := _RELATION.match(title))}
    unexpected = [f"listed {count} times: {title}" for title, count in titles.items() if count > 1]
    unexpected += [f"not listed: {title}" for title in sorted(wanted - titles.keys())]
    unexpected += [
        f"not expected: {title}" for title in sorted(titles.keys() - wanted) if not _is_part(title, relations)
    ]
    return unexpected


def _is_part(title: str, relations: Container[str]) -> bool:
    """Returns whether a title is part of a skipped relation, or an index, which may be part of one."""
    owner = title.removeprefix("SEQUENCE OWNED BY ").split(" ")
    return title.startswith(("SEQUENCE OWNED BY ", "COMMENT ", "INDEX ")) or (
        title.startswith(_PARTS) and any(word in relations for word in owner)
    )


def add_parts(skipped: Iterable[str], content: Content) -> list[str]:
    """Returns the skipped titles, and those of all parts of the skipped tables and views."""
    titles = list(skipped)
    relations = {match["name"] for title in titles if (match := _RELATION.match(title.replace('"', "")))}
    for name, definition in content.items():
        words = name.replace('"', "").split(" ")
        index = _INDEX.search(definition)
        if any(word in relations for word in words[1:]) or (index and index["table"].replace('"', "") in relations):
            titles.append(name)
    indexes = [
        title.rpartition(" ")[2].rpartition(".")[2]
        for title in titles
        if "CONSTRAINT " in title or title.startswith("INDEX ")
    ]
    states = [name for name in content if name.startswith("index ") and name.rpartition(".")[2] in indexes]
    return titles + states


def _shorten(title: str) -> str:
    """Removes quotes and the arguments of a function, which a plain dump may not tell."""
    return _ARGUMENTS.sub(r"\1", title.replace('"', ""))


def remove_skipped_parts(content: Content, titles: Iterable[str]) -> Content:
    """Removes skipped defaults and CHECKs from the definitions of their tables and domains."""
    content = dict(content)
    for title in titles:
        if match := _CHECK.match(title):
            pattern = rf'\n[ \t]*CONSTRAINT "?{re.escape(match["name"])}"? CHECK \(.*\)'
        elif match := _DEFAULT.match(title):
            pattern = rf"(?<=\n    {re.escape(match['name'])} )(.*?) DEFAULT [^\n,]*"
        else:
            continue
        for kind in ("TABLE", "DOMAIN"):
            name = f"{kind} {match['owner']}"
            if name in content:
                content[name] = _tidy(re.sub(pattern, r"\1" if "DEFAULT" in pattern else "", content[name]))
    return content


def _tidy(definition: str) -> str:
    """Removes commas and line ends that a removed part leaves."""
    definition = re.sub(r",\s*,", ",", definition)
    return re.sub(r",\s*\)", "\n)", re.sub(r"\(\s*,", "(\n   ", definition))
