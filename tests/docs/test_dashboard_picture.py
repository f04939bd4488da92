"""The picture of the dashboard has all its panels, drawn from recorded series."""

import json
import re

from tests.docs.blocks import find_pages
from tests.docs.dashboard_picture import PICTURE, RECORDING, build_picture

from pgimport.schema.dashboard import PANELS


def test_the_picture_is_fresh() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    assert drawn == build_picture(), "run python -m tests.docs.dashboard_picture"


def test_each_panel_has_recorded_values() -> None:
    recorded = json.loads(RECORDING.read_text(encoding="utf-8"))["panels"]
    titles = {panel.title for panel in PANELS if panel.kind != "row"}
    assert recorded.keys() == titles, "run python -m tests.handlers.dashboard_recorder"
    assert [
        title for title, lines in recorded.items() if not any(line[-1] is not None for line in lines.values())
    ] == []


def test_the_picture_loads_nothing_and_a_page_shows_it() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    assert re.findall(r"(?:href|src|url)\W+https?:", drawn) == []
    assert any("images/dashboard.svg)" in page.read_text(encoding="utf-8") for page in find_pages())
