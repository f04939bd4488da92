"""Prints blocks: drawn for a terminal, tab-separated for a program. Prompts and live views need a terminal.

Texts of resources come from other people. They pass through `visible_text` here, where they leave the program.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from pgimport.cli.cluster_commands.blocks import Block, Page, format_plain
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.model.visible_text import show_controls, show_controls_of_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

UNICODE_SAMPLE = "✓✗█░…·"


@dataclass(frozen=True, slots=True)
class LiveView:
    """A page that is drawn again and again at the same place."""

    live: "Live"
    unicode: bool

    def show(self, page: Page) -> None:
        from pgimport.cli.cluster_commands.drawing import draw_page

        self.live.update(draw_page(page, self.live.console.width, unicode=self.unicode), refresh=True)


class Screen:
    """The terminal, or the pipes, of the command."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str], *, wide: bool = False) -> None:
        self._out, self._err, self._environment, self._wide = out, err, environment, wide
        self.is_terminal = out.isatty()
        self.has_cursor = self.is_terminal and environment.get("TERM", "dumb") not in ("dumb", "unknown")
        # Python writes UTF-8 in the C locale too, where a terminal may not expect it.
        self.unicode = _can_print(UNICODE_SAMPLE, out) and environment.get("LC_ALL") not in ("C", "POSIX")

    @property
    def width(self) -> int:
        """Number of columns of the terminal."""
        return shutil.get_terminal_size().columns

    def print_page(self, *blocks: Block) -> None:
        """Prints blocks to stdout."""
        if not self.is_terminal:
            for block in blocks:
                for fields in format_plain(block):
                    self.print_fields(fields)
            return
        from pgimport.cli.cluster_commands.drawing import draw_page

        console = self._console()
        console.print(draw_page(Page(blocks), console.width, unicode=self.unicode, wide=self._wide))

    def print_text(self, text: str) -> None:
        """Prints a text of one or more lines to stdout: as it is for a program, without controls on a terminal."""
        self._print(show_controls(text) if self.is_terminal else text)

    def print_line(self, text: str) -> None:
        """Prints a result of one line to stdout."""
        self._print(show_controls_of_line(text))

    def print_fields(self, fields: Iterable[str]) -> None:
        """Prints a line of fields: separated by tabs for a program, by spaces on a terminal."""
        gap = "  " if self.is_terminal else "\t"
        self._print(gap.join(show_controls_of_line(text) for text in fields).rstrip(" "))

    def print_note(self, text: str) -> None:
        """Prints a note to stderr, which does not disturb a program that reads stdout."""
        print(show_controls_of_line(text), file=self._err, flush=True)

    @contextmanager
    def live(self) -> Iterator[LiveView]:
        """Draws pages at the same place, until the end of the context. Needs `has_cursor`."""
        from rich.live import Live

        with Live(console=self._console(), auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            yield LiveView(live, self.unicode)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks the user, unless `yes`. Raises CommandFailed for another answer, and without a terminal."""
        if yes:
            return
        if not (sys.stdin.isatty() and self._err.isatty()):
            raise CommandFailed(f"{question} Without a terminal, add --yes to confirm.")
        print(f"{show_controls_of_line(question)} [y/N] ", end="", file=self._err, flush=True)
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):  # Ctrl-D
            print(file=self._err)
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandFailed("nothing was changed")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def _console(self) -> "Console":
        from rich.console import Console

        no_color = bool(self._environment.get("NO_COLOR"))
        return Console(
            file=self._out, force_terminal=True, no_color=no_color, highlight=False, markup=False, emoji=False
        )


def _can_print(sample: str, stream: TextIO) -> bool:
    try:
        sample.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
