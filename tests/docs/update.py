"""Writes into the pages what their commands print today, where it is no longer what the page says."""

import re
from pathlib import Path

from tests.docs.blocks import parse_blocks
from tests.docs.sessions import ANYTHING, Outcome, matches

SHORT = "short"
# Texts that differ from run to run, or from machine to machine.
_VOLATILE = (
    re.compile(r"(?<=: )[\d.]+(?= MiB, copied by)"),
    re.compile(r"(?<=the source has )[\d.]+(?= MiB)"),
    re.compile(r"(?<=MiB \()\d+(?= bytes)"),
    re.compile(r"(?<=    )\d+ streams?, \d+ index workers?"),
    re.compile(r"(?<=not shown again\): )\S+"),
    re.compile(r"(?<=pgimport_)[a-z]?_?[0-9a-f]{12,}(_[0-9a-f]+)*"),
)


def hide_volatile(output: str) -> str:
    """Replaces secrets and derived names by `…`."""
    for pattern in _VOLATILE:
        output = pattern.sub(ANYTHING, output)
    return "\n".join(line.rstrip() for line in output.splitlines()).strip("\n")


def shorten(output: str) -> str:
    """Replaces all checks that passed, except for the first one, by one line with `…`."""
    head, *checks = re.split(r"^(?=  ✓)", output, flags=re.MULTILINE)
    if len(checks) < 2:
        return output
    _, _, rest = checks[-1].partition("\n")
    return f"{head}{checks[0]}{ANYTHING}\n{rest}"


def update_page(page: Path, outcomes: list[Outcome]) -> int:
    """Rewrites the output blocks that differ; returns their number."""
    content = page.read_text(encoding="utf-8")
    changed = 0
    for outcome in reversed(outcomes):
        expected = outcome.step.expected
        if expected is None or matches(expected.text, outcome.output):
            continue
        begin, end = expected.span
        output = hide_volatile(outcome.output)
        if expected.marks["output"] == SHORT:
            output = shorten(output)
        content = f"{content[:begin]}{output}\n{content[end:]}"
        changed += 1
    if changed:
        assert len(parse_blocks(page)), page
        page.write_text(content, encoding="utf-8")
    return changed
