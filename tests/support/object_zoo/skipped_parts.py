"""Finds what belongs to skipped objects, so that it is not taken for a difference."""

import re
from collections.abc import Iterable, Mapping

RELATION = re.compile(r"^(?:TABLE|MATERIALIZED VIEW|FOREIGN TABLE|VIEW) (?P<name>\S+)$")
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \S+ ON (?:ONLY )?(?P<table>\S+) ")
_CHECK = re.compile(r"^CHECK CONSTRAINT (?P<owner>\S+) (?P<name>.+)$")
_DEFAULT = re.compile(r"^DEFAULT (?P<owner>\S+) (?P<name>.+)$")


def add_parts(skipped: Iterable[str], content: Mapping[str, str]) -> list[str]:
    """Returns the skipped titles, and those of all parts of the skipped tables and views."""
    titles = list(skipped)
    relations = {match["name"] for title in titles if (match := RELATION.match(title.replace('"', "")))}
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


def remove_skipped_parts(content: Mapping[str, str], titles: Iterable[str]) -> dict[str, str]:
    """Removes skipped defaults and CHECKs from the definitions of their tables and domains."""
    content = dict(content)
    for title in titles:
        if match := _CHECK.match(title):
            pattern = rf'\n[ \t]*CONSTRAINT "?{re.escape(match["name"])}"? CHECK \(.*\)'
        elif match := _DEFAULT.match(title):
            pattern = rf"(?<=\n    {re.escape(match['name'])} )(.*?) DEFAULT .*?(?= NOT NULL|,?\n)"
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
