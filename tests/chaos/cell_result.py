"""Defines the result of a fault cell: one line of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CellResult:
    """The result of one import with a fault, or of the changes of one field."""

    fault: str
    where: str  # phase, write or field
    kept: bool  # whether every promise was kept
    seconds: float  # until the import was over and cleaned up
    state: str = ""  # final state of the import, with its reason unless it completed
    target: str = ""  # content of the target: old or new
    problem: str = ""  # the promise that was broken, and how


@dataclass(frozen=True)
class PlayedCell:
    """A result, together with the cell of the plan that it belongs to."""

    kind: str
    title: str  # kind and title identify a cell in every run
    code: str  # last commit of the product that was tested
    cell: CellResult

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.title
