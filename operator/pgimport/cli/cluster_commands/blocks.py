"""Defines what a command prints, as values: the commands build blocks, and `screen` draws them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

COLUMN_GAP = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: `shown` on a terminal; `raw` for programs, for example a time instead of an age."""

    shown: str
    raw: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. On a narrow terminal, the columns with the highest rank are left out first."""

    title: str
    rank: int = 0  # 0: never left out
    wide: bool = False  # only with `-o wide`
    is_state: bool = False  # drawn in the colour of its value


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with a header. Each row has a cell for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Cell]]


@dataclass(frozen=True, slots=True)
class Title:
    """First line of a page. Programs do not get it: the fields below hold the same."""

    text: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Labels and values. Values that are empty are not printed."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Items:
    """A list with a heading. A list without items is not printed."""

    heading: str
    lines: Sequence[str]


class Sign(StrEnum):
    """Result of a check."""

    PASS = "pass"  # noqa: S105 (a result)
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Checks:
    """Results of checks: sign, name and detail."""

    rows: Sequence[tuple[Sign, str, str]]


class Step(StrEnum):
    """Where an import is, compared with one of its phases."""

    DONE = "done"
    NOW = "now"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Progress:
    """Phases of an import, and a bar with a text behind it."""

    phases: Sequence[tuple[str, Step]]
    percent: int
    details: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Commands:
    """What the user can type next."""

    lines: Sequence[str]


Block = Table | Title | Fields | Items | Checks | Progress | Commands


@dataclass(frozen=True, slots=True)
class Page:
    """Blocks below each other."""

    blocks: Sequence[Block] = field(default_factory=list)


def shown(cell: str | Cell) -> str:
    return cell.shown if isinstance(cell, Cell) else cell


def raw(cell: str | Cell) -> str:
    return cell.raw if isinstance(cell, Cell) else cell


def select_columns(table: Table, *, wide: bool) -> Table:
    """Returns the table without the columns for `-o wide`, unless they are wanted."""
    return _keep(table, [index for index, column in enumerate(table.columns) if wide or not column.wide])


def fit_columns(table: Table, width: int) -> Table:
    """Leaves out columns, those with the highest rank first, until the table fits or only rank 0 is left."""
    kept = list(range(len(table.columns)))
    widths = [
        max(len(column.title), *(len(shown(row[index])) for row in table.rows), 0)
        for index, column in enumerate(table.columns)
    ]
    while sum(widths[index] + COLUMN_GAP for index in kept) - COLUMN_GAP > width:
        last = max(kept, key=lambda index: table.columns[index].rank)
        if table.columns[last].rank == 0:
            break
        kept.remove(last)
    return _keep(table, kept)


def _keep(table: Table, indexes: Sequence[int]) -> Table:
    rows = [tuple(row[index] for index in indexes) for row in table.rows]
    return Table([table.columns[index] for index in indexes], rows)


def format_plain(block: Block) -> list[list[str]]:
    """Returns the block for programs: lines of fields, which the caller separates by tabs."""
    match block:
        case Table():
            return [[raw(cell) for cell in row] for row in block.rows]
        case Fields():
            return [[f"{label}:", value] for label, value in block.rows if value]
        case Items():
            return [[f"{block.heading}:", line] for line in block.lines]
        case Checks():
            return [list(row) for row in block.rows]
        case Progress():
            phase = next((name for name, step in block.phases if step is Step.NOW), "")
            return [
                ["phase:", phase],
                ["percent:", str(block.percent)],
                *(["progress:", part] for part in block.details),
            ]
        case Commands():
            return [["next:", line] for line in block.lines]
        case Title():
            return []
