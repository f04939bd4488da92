"""Parses apt's package lists, and writes one compressed file per table in COPY's text format.

The image build runs it, so it uses only the standard library. The first suite that has a package describes it; its
versions come from all suites.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Stanza = dict[str, str]

# With fewer packages or rows the build fails, because the demo would have too little data.
LEAST_PACKAGES = 60_000
LEAST_ROWS = 400_000

RELATIONS = {
    "Pre-Depends": "pre_depends",
    "Depends": "depends",
    "Recommends": "recommends",
    "Suggests": "suggests",
    "Enhances": "enhances",
    "Breaks": "breaks",
    "Conflicts": "conflicts",
    "Replaces": "replaces",
}

# `libc6:any (>= 2.38)`: name, architecture (ignored), comparison, version.
RELATION = re.compile(r"(?P<name>[^\s:(]+)(?::\S+)?\s*(?:\((?P<comparison><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\s*\))?")
MAINTAINER = re.compile(r"\s*(?P<name>.*?)\s*<(?P<email>[^>]*)>")
SOURCE = re.compile(r"(?P<name>\S+)(?:\s+\((?P<version>[^)]+)\))?")

# The characters that COPY's text format escapes.
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def read_lists(kind: str) -> list[tuple[str, str]]:
    """Returns suite and file of each of Debian's own lists of a kind. The suite with the shortest name comes first."""
    options = ["--format", "$(CODENAME) $(FILENAME)", f"Created-By: {kind}", "Origin: Debian", "Component: main"]
    output = subprocess.run(["apt-get", "indextargets", *options], check=True, capture_output=True, text=True).stdout
    pairs = {(line.split()[0], line.split()[1]) for line in output.splitlines()}
    return sorted(pairs, key=lambda pair: (len(pair[0]), pair))


def read_stanzas(path: str) -> Iterator[Stanza]:
    """Yields the stanzas of a list, which apt-helper decompresses."""
    text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True).stdout
    for block in text.decode().split("\n\n"):
        stanza: Stanza = {}
        key = ""
        for line in block.splitlines():
            if line.startswith((" ", "\t")):
                stanza[key] += "\n" + line[1:]
            else:
                key, _, value = line.partition(":")
                stanza[key] = value.strip()
        if stanza:
            yield stanza


def read_descriptions() -> dict[str, str]:
    """Maps the checksum of a description, which packages name, to its text."""
    descriptions: dict[str, str] = {}
    for _, path in read_lists("Translations"):
        for stanza in read_stanzas(path):
            descriptions[stanza.get("Description-md5", "")] = stanza.get("Description-en", "")
    return descriptions


def as_paragraphs(text: str) -> str:
    """Replaces the dots with which Debian marks empty lines."""
    return "\n".join("" if line == "." else line for line in text.splitlines())


class Numbers:
    """Numbers keys from 1 in the order in which they come, and keeps the row of each."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.rows: list[tuple[object, ...]] = []

    def of(self, key: object, *row: object) -> int:
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        if number > len(self.rows):
            self.rows.append((number, *row))
        return number

    def find(self, key: object) -> int | None:
        return self._numbers.get(key)


class Tables:
    """The rows of all tables."""

    def __init__(self) -> None:
        self.section, self.maintainer, self.source = Numbers(), Numbers(), Numbers()
        self.package, self.capability = Numbers(), Numbers()
        self.facet, self.tag = Numbers(), Numbers()
        self.version: list[tuple[object, ...]] = []
        self.dependency: list[tuple[object, ...]] = []
        self.provides: set[tuple[object, ...]] = set()
        self.package_tag: set[tuple[object, ...]] = set()
        self.descriptions = read_descriptions()

    def all(self) -> dict[str, Iterable[tuple[object, ...]]]:
        numbered = ("section", "maintainer", "source", "package", "capability", "facet", "tag")
        return {
            **{name: getattr(self, name).rows for name in numbered},
            "version": self.version,
            "dependency": self.dependency,
            "provides": sorted(self.provides, key=str),
            "package_tag": sorted(self.package_tag, key=str),
        }

    def add_package(self, stanza: Stanza) -> bool:
        """Adds a package. Returns False if an earlier suite has described it."""
        name = stanza["Package"]
        if self.package.find(name):
            return False
        maintainer, section = self._maintainer(stanza["Maintainer"]), self._section(stanza["Section"])
        summary, _, text = self.descriptions.get(stanza.get("Description-md5", ""), "").partition("\n")
        self.package.of(
            name,
            name,
            self._source(stanza, maintainer, section),
            maintainer,
            section,
            stanza["Priority"],
            stanza["Architecture"],
            stanza.get("Essential") == "yes",
            stanza.get("Homepage"),
            summary or stanza.get("Description"),
            as_paragraphs(text) or None,
        )
        return True

    def _section(self, name: str) -> int:
        return self.section.of(name, name)

    def _maintainer(self, text: str) -> int:
        match = MAINTAINER.match(text)
        name, email = (match["name"].strip('"'), match["email"].lower()) if match else (text, None)
        return self.maintainer.of((name, email), name, email)

    def _source(self, stanza: Stanza, maintainer: int, section: int) -> int:
        match = SOURCE.match(stanza.get("Source", stanza["Package"]))
        if match is None:
            raise ValueError(f"{stanza['Package']}: its source {stanza['Source']!r} cannot be read")
        version = match["version"] or stanza["Version"]
        return self.source.of(match["name"], match["name"], version, maintainer, section)

    def add_version(self, suite: str, stanza: Stanza) -> None:
        package = self.package.find(stanza["Package"])
        sha256 = rf"\x{stanza['SHA256']}"
        installed = int(stanza["Installed-Size"]) * 1024 if "Installed-Size" in stanza else None
        row = (package, suite, stanza["Version"], stanza["Filename"], int(stanza["Size"]), installed, sha256)
        self.version.append(row)

    def add_relations(self, stanza: Stanza) -> None:
        """Adds the relations of a package. All packages must be known, because any other name is a virtual package."""
        package = self.package.find(stanza["Package"])
        for field, kind in RELATIONS.items():
            for place, group in enumerate(_split(stanza.get(field, ""), ","), start=1):
                for choice, text in enumerate(_split(group, "|"), start=1):
                    relation = _relation(text)
                    target = self.package.find(relation["name"])
                    other = None if target else self.capability.of(relation["name"], relation["name"])
                    row = (package, kind, place, choice, target, other, relation["comparison"], relation["version"])
                    self.dependency.append(row)
        for text in _split(stanza.get("Provides", ""), ","):
            relation = _relation(text)
            capability = self.capability.of(relation["name"], relation["name"])
            self.provides.add((package, capability, relation["version"]))
        for name in _split(stanza.get("Tag", ""), ","):
            facet = name.partition("::")[0]
            self.package_tag.add((package, self.tag.of(name, self.facet.of(facet, facet), name)))


def _split(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _relation(text: str) -> re.Match[str]:
    match = RELATION.match(text)
    if match is None:
        raise ValueError(f"the relation {text!r} cannot be read")
    return match


def _as_text(value: object) -> str:
    match value:
        case None:
            return r"\N"
        case bool():
            return "t" if value else "f"
        case _:
            return str(value).translate(ESCAPES)


def write_table(path: Path, rows: Iterable[tuple[object, ...]]) -> int:
    """Writes the rows of a table, and returns their number."""
    lines = ["\t".join(map(_as_text, row)) + "\n" for row in rows]
    # Without a time in the header, equal lists give equal bytes.
    path.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=6, mtime=0))
    return len(lines)


def main(folder: Path) -> None:
    tables = Tables()
    described: list[Stanza] = []
    for suite, path in read_lists("Packages"):
        for stanza in read_stanzas(path):
            if tables.add_package(stanza):
                described.append(stanza)
            tables.add_version(suite, stanza)
    for stanza in described:
        tables.add_relations(stanza)
    folder.mkdir(parents=True)
    counts = {name: write_table(folder / f"{name}.gz", rows) for name, rows in tables.all().items()}
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    if counts["package"] < LEAST_PACKAGES or sum(counts.values()) < LEAST_ROWS:
        sys.exit(f"the package lists are too small: {counts['package']} packages, {sum(counts.values())} rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
