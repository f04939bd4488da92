"""What a story was, and what became of it: one line of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What became of one import, or of one change."""

    fault: str
    place: str
    kept: bool  # every promise
    seconds: float  # until it was over and cleaned up
    state: str = ""  # and the reason, where there is one
    target: str = ""  # old or new: what it held at every look, and holds at the end
    said: str = ""  # which promise was broken, and how


@dataclass(frozen=True)
class Played:
    """A cell, and what it was planned as."""

    kind: str
    title: str  # together with the kind: which one it is, in every run
    code: str  # the commit that last changed what was tried
    cell: Cell

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.title
