"""The pictures of the commands for a cluster show what these commands print today."""

import re
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages
from tests.docs.terminal_pictures import IMAGES, SHOTS, Shot, build_picture


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_picture_is_fresh(shot: Shot) -> None:
    drawn = (IMAGES / f"{shot.name}.svg").read_text(encoding="utf-8")
    assert drawn == build_picture(shot), "run python -m tests.docs.terminal_pictures"


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_picture_loads_nothing_and_a_page_shows_it(shot: Shot) -> None:
    drawn = (IMAGES / f"{shot.name}.svg").read_text(encoding="utf-8")
    assert re.findall(r"(?:href|src|url)\W+https?:", drawn) == []
    pages = [page.read_text(encoding="utf-8") for page in (*find_pages(), ROOT / "README.md")]
    assert any(f"images/{shot.name}.svg)" in page for page in pages)


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("*.svg")), ids=lambda picture: picture.stem)
def test_the_last_line_is_whole(picture: Path) -> None:
    assert "clip-terminal" not in picture.read_text(encoding="utf-8")
