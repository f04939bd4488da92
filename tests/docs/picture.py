"""`python -m tests.docs.picture`: runs `pgimport run` in a terminal and draws docs/images/run.svg from what it prints.

The picture has the whole output. Of the line that shows the progress, which a terminal overwrites, it keeps one moment.
"""

import io
import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text
from tests.docs.blocks import ROOT
from tests.docs.local import SOURCE, TARGET, open_session
from tests.docs.sessions import ANYTHING
from tests.support.postgres import run_postgres

PICTURE = ROOT / "docs/images/run.svg"
COLUMNS = 128
MORE_ORDERS = """
INSERT INTO orders SELECT i, 1 + i % 5000, date '2026-01-01' + i % 300, 500 + i % 9000
    FROM generate_series(60001, 3000000) i
"""
PROMPT = "\x1b[1;32m$ \x1b[0m"
_OVERWRITTEN = re.compile(r"\r\x1b\[2K")
_MARKS = ((re.compile(r"✓ "), "\x1b[32m✓ \x1b[0m"), (re.compile(r"(█+)"), "\x1b[34m\\1\x1b[0m"))


def run_in_terminal(command: list[str], environment: dict[str, str]) -> str:
    """Runs a command with a terminal as its output, and returns all that it wrote."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)  # noqa: S606 (the child of a pty is started this way)
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the child has closed the terminal
            break
        if not part:
            break
        written += part
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    text = written.decode()
    if status != 0:
        raise RuntimeError(f"the command failed:\n{text}")
    return text


def choose_lines(text: str) -> list[str]:
    """Returns the lines of a terminal's output, with one moment of the line that is overwritten."""
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        *moments, last = _OVERWRITTEN.split(line)
        copying = [moment for moment in moments if moment.startswith("data") and " 0 %" not in moment]
        if copying:
            lines.append(copying[len(copying) // 2])
        if last:
            lines.append(last)
    return lines


def colour(line: str) -> str:
    """Colours the marks of a line: `pgimport run` prints none."""
    for pattern, coloured in _MARKS:
        line = pattern.sub(coloured, line)
    return line


def draw(lines: list[str], *, title: str, columns: int, identifier: str) -> str:
    """Draws lines with ANSI colours as SVG that loads nothing. The identifier keeps pictures of a page apart."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=False)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    # rich's clip of the whole terminal cuts off the underscores of the last line.
    template = re.sub(r"    <clipPath.*?</clipPath>\n", "", template, flags=re.DOTALL)
    template = re.sub(r' clip-path="[^"]*-clip-terminal\)"', "", template)
    return console.export_svg(title=title, code_format=template, unique_id=identifier)


def main() -> int:
    """Draws the picture anew."""
    with (
        run_postgres(16) as source,
        run_postgres(18) as target,
        tempfile.TemporaryDirectory(prefix="pgimport-docs-") as folder,
        open_session(source, target, Path(folder)) as session,
    ):
        source.execute(MORE_ORDERS, "shop")
        source.execute("ANALYZE", "shop")
        environment = {
            **session.environment,
            "PGIMPORT_SOURCE_URL": session.replace(SOURCE),
            "PGIMPORT_TARGET_URL": session.replace(TARGET),
        }
        text = run_in_terminal(["pgimport", "run"], environment)
        for written, real in session.replacements.items():
            text = text.replace(real, written)
    text = re.sub(r"(?<=not shown again\): )\S+", ANYTHING, text)
    PICTURE.parent.mkdir(exist_ok=True)
    lines = [f"{PROMPT}pgimport run", *map(colour, choose_lines(text))]
    drawn = draw(lines, title="pgimport run", columns=COLUMNS, identifier="run")
    PICTURE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
