"""The picture of `pgimport run` shows what the README's first command prints."""

import html
import re

from tests.docs.blocks import ROOT, parse_blocks
from tests.docs.picture import PICTURE
from tests.docs.sessions import ANYTHING
from tests.docs.update import hide_volatile


def test_the_picture_shows_the_output_of_the_first_import() -> None:
    drawn = html.unescape(re.sub(r"<[^>]*>", "", PICTURE.read_text(encoding="utf-8")))
    picture = hide_volatile(drawn.replace("\N{NO-BREAK SPACE}", " "))
    output = next(block for block in parse_blocks(ROOT / "README.md") if "output" in block.marks)
    # Counts differ: the picture's source is larger, so that its progress can be seen.
    texts = [text for line in output.text.splitlines() for text in re.split(rf"{ANYTHING}|\d{{3,}}", line)]
    assert [text for text in texts if text.strip() not in picture] == []
