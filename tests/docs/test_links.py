"""Links between Markdown files of the checkout lead to a file, and to a heading within it."""

import re
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages

_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _find_links(page: Path) -> list[str]:
    text = _CODE.sub("", _FENCED.sub("", page.read_text(encoding="utf-8")))
    return [link for link in _LINK.findall(text) if not re.match(r"https?:", link)]


def _find_anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as the site and most viewers of Markdown build them."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


PAGES = [*find_pages(), *(ROOT / "tests").glob("*/**/README.md"), ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _find_links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in _find_anchors(target), f"{link}: no such heading"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / ".zensical.toml").read_text(encoding="utf-8")
    pages = (ROOT / "docs").rglob("*.md")
    assert [page for page in pages if f'"{page.relative_to(ROOT / "docs")}"' not in navigation] == []
