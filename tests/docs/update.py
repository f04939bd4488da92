"""Writes into the pages what their commands print today, where it is no longer what the page says."""

import re
from pathlib import Path

from tests.docs.blocks import parse_blocks
from tests.docs.sessions import ANYTHING, Outcome, matches

# Texts that differ from run to run.
_VOLATILE = (
    re.compile(r"(?<=shown only now: )\S+"),
    re.compile(r"(?<=password of shop_copy_owner: )\S+"),
    re.compile(r"(?<=pgimport_)[a-z]?_?[0-9a-f]{12,}(_[0-9a-f]+)*"),
)


def hide_volatile(output: str) -> str:
    """Replaces secrets and derived names by `…`."""
    for pattern in _VOLATILE:
        output = pattern.sub(ANYTHING, output)
    return "\n".join(line.rstrip() for line in output.splitlines()).strip("\n")


def update_page(page: Path, outcomes: list[Outcome]) -> int:
    """Rewrites the output blocks that differ; returns their number."""
    content = page.read_text(encoding="utf-8")
    changed = 0
    for outcome in reversed(outcomes):
        expected = outcome.step.expected
        if expected is None or matches(expected.text, outcome.output):
            continue
        begin, end = expected.span
        content = content[:begin] + hide_volatile(outcome.output) + "\n" + content[end:]
        changed += 1
    if changed:
        assert len(parse_blocks(page)), page
        page.write_text(content, encoding="utf-8")
    return changed
