"""Every code block that shows a command or an output says how it is tested."""

from pathlib import Path

import pytest
from tests.docs.blocks import RUNNERS, TESTED_LANGUAGES, Block, find_pages, parse_blocks

BLOCKS = [block for page in find_pages() for block in parse_blocks(page)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_a_block_is_marked(block: Block) -> None:
    assert block.language in TESTED_LANGUAGES, "name a language that a test knows"
    match block.language:
        case "sh" | "console" | "":
            assert block.language == "sh", "write commands as sh, so that they can be pasted, and output as text"
            assert block.marks.get("run") in RUNNERS
        case "text":
            assert block.marks.keys() & {"output", "diagram"}
        case "sql":
            assert block.marks.keys() & {"file", "run"}
        case "lua":
            assert "file" in block.marks  # tests/gitops runs it by this name
        case "python":
            assert "file" in block.marks  # test_webhook_example.py runs it by this name


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_output_follows_the_commands_that_print_it(block: Block) -> None:
    if "output" not in block.marks:
        return
    page = parse_blocks(block.page)
    index = next(index for index, other in enumerate(page) if other.line == block.line)
    assert index > 0
    assert "run" in page[index - 1].marks
    assert page[index - 1].marks["run"] != "checked", "commands that are only checked print nothing"


@pytest.mark.parametrize("page", find_pages(), ids=lambda page: page.stem)
def test_no_fence_is_left_open(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(parse_blocks(page))
