"""Draws blocks with rich, for a terminal of a given width. Imported only when a terminal is there."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from pgimport.cli.cluster_commands.blocks import (
    COLUMN_GAP,
    Block,
    Checks,
    Commands,
    Fields,
    Items,
    Page,
    Progress,
    Sign,
    Step,
    Table,
    Title,
    fit_columns,
    select_columns,
    shown,
)
from pgimport.model.visible_text import show_controls_of_line

BAR_CELLS = 24
STATE_STYLES = {
    "completed": "green",
    "ready": "green",
    "True": "green",
    "running": "cyan",
    "pending": "yellow",
    "deleting": "yellow",
    "failed": "red",
    "False": "red",
    "cancelled": "magenta",
    "expired": "magenta",
}
_SIGNS = {Sign.PASS: ("✓", "+", "green"), Sign.WARN: ("!", "!", "yellow"), Sign.FAIL: ("✗", "x", "red")}
_STEPS = {Step.DONE: ("✓", "+", "green"), Step.NOW: ("▶", ">", "bold cyan"), Step.LATER: ("·", ".", "dim")}
_ASCII = str.maketrans({"…": "...", "·": "-", "→": "->", "–": "-", "×": "x"})


def draw_page(page: Page, width: int, *, unicode: bool, wide: bool = False) -> RenderableType:
    """Returns what rich prints for the blocks."""
    drawing = _Drawing(width, unicode=unicode, wide=wide)
    return Group(*(drawing.draw(block) for block in page.blocks if not _is_empty(block)))


def _is_empty(block: Block) -> bool:
    match block:
        case Items() | Commands():
            return not block.lines
        case Fields() | Checks():
            return not block.rows
        case _:
            return False


class _Drawing:
    """Draws blocks for one terminal."""

    def __init__(self, width: int, *, unicode: bool, wide: bool) -> None:
        self._width, self._unicode, self._wide = width, unicode, wide

    def draw(self, block: Block) -> RenderableType:
        match block:
            case Table():
                return self._draw_table(block)
            case Title():
                return self._text(block.text, "bold").append(
                    f"  {block.state}" if block.state else "", STATE_STYLES.get(block.state, "")
                )
            case Fields():
                return self._draw_pairs(
                    [(self._text(label, "dim"), self._text(value)) for label, value in block.rows if value]
                )
            case Items():
                marked = [(self._text("-"), self._text(line)) for line in block.lines]
                return Group(self._text(f"{block.heading}:", "bold"), self._draw_pairs(marked, indent=2, gap=1))
            case Checks():
                return self._draw_checks(block)
            case Progress():
                return self._draw_progress(block)
            case Commands():
                lines = [(self._text("$", "dim"), self._text(line, "bold")) for line in block.lines]
                return self._draw_pairs(lines, indent=2, gap=1)

    def _text(self, text: str, style: str = "") -> Text:
        line = show_controls_of_line(text)
        return Text(line if self._unicode else line.translate(_ASCII), style=style, overflow="fold")

    def _draw_table(self, table: Table) -> RenderableType:
        fitted = fit_columns(select_columns(table, wide=self._wide), self._width)
        drawn = RichTable(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), collapse_padding=True)
        for column in fitted.columns:
            drawn.add_column(self._text(column.title, "bold"), overflow="fold")
        for row in fitted.rows:
            cells = zip(fitted.columns, map(shown, row), strict=True)
            drawn.add_row(
                *(self._text(text, STATE_STYLES.get(text, "") if column.is_state else "") for column, text in cells)
            )
        return drawn

    def _draw_pairs(self, pairs: Sequence[tuple[Text, Text]], indent: int = 0, gap: int = COLUMN_GAP) -> RenderableType:
        """Draws two columns. The lines of a wrapped text begin where the text begins."""
        grid = RichTable.grid(padding=(0, gap, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for left, right in pairs:
            grid.add_row(left, right)
        return Padding(grid, (0, 0, 0, indent), expand=False)

    def _sign(self, signs: tuple[str, str, str]) -> Text:
        return Text(signs[0] if self._unicode else signs[1], style=signs[2])

    def _draw_checks(self, checks: Checks) -> RenderableType:
        return self._draw_pairs(
            [
                (self._sign(_SIGNS[sign]), self._text(f"{name}: {detail}" if detail else name))
                for sign, name, detail in checks.rows
            ],
            gap=1,
        )

    def _draw_progress(self, progress: Progress) -> RenderableType:
        phases = self._draw_phases(progress.phases)
        filled = BAR_CELLS * max(0, min(progress.percent, 100)) // 100
        full, empty = ("█", "░") if self._unicode else ("#", "-")
        bar = Text(full * filled, style="cyan").append(empty * (BAR_CELLS - filled), style="dim")
        bar.append(f" {progress.percent:>3} %")
        return Group(*phases, bar, *(self._text(part) for part in progress.details))

    def _draw_phases(self, phases: Sequence[tuple[str, Step]]) -> list[Text]:
        """Draws the phases in as many lines as they need. rich would part a sign from its name."""
        lines: list[Text] = []
        for name, step in phases:
            signs = _STEPS[step]
            phase = Text().append_text(self._sign(signs)).append(f" {name}", style=signs[2])
            if lines and lines[-1].cell_len + COLUMN_GAP + phase.cell_len <= self._width:
                lines[-1].append(" " * COLUMN_GAP).append_text(phase)
            else:
                lines.append(phase)
        return lines
