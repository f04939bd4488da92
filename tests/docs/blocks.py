"""Code blocks of the README and of the pages in docs/, with the marks that say how each one is tested.

A mark is an HTML comment on a line directly above a block; tests/README.md explains every mark.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Languages in which a reader expects something to type, or something that a program printed.
TESTED_LANGUAGES = ("sh", "console", "text", "sql", "yaml", "lua", "python", "")
RUNNERS = ("local", "cluster", "checked")

_BLOCK = re.compile(
    r"(?P<marks>(?:^ *<!-- [^\n]* -->\n)*)^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"<!-- (?P<name>[a-z]+)(?:: (?P<value>.*?))? -->")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str = field(repr=False)
    marks: dict[str, str]
    span: tuple[int, int] = field(repr=False)  # where the text begins and ends within the page

    @property
    def title(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def find_pages() -> list[Path]:
    """Returns the Markdown files whose blocks are tested."""
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md")]
    return [*pages, ROOT / "charts/pgimport/README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def parse_blocks(page: Path) -> list[Block]:
    """Returns all fenced blocks of a page, in order."""
    return list(_parse(page, page.read_text(encoding="utf-8")))


def _parse(page: Path, content: str) -> Iterator[Block]:
    for match in _BLOCK.finditer(content):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)]
        yield Block(
            page=page,
            line=content.count("\n", 0, match.start("indent")) + 1,
            language=match["language"],
            text="".join(lines),
            marks={mark["name"]: mark["value"] or "" for mark in _MARK.finditer(match["marks"])},
            span=match.span("text"),
        )


def runs_on(page: Path, runner: str) -> bool:
    """Says whether a page has a block for this runner."""
    return any(block.marks.get("run") == runner for block in parse_blocks(page))
