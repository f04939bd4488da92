"""`python -m tests.docs.terminal_pictures`: draws what commands for a cluster show, from recorded answers of kubectl.

`tests.docs.terminal_recorder` records the answers in the cluster. The same recording gives the same picture.
"""

import io
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

from tests.docs.blocks import ROOT
from tests.docs.picture import PROMPT, draw

from pgimport import __version__
from pgimport.cli.arguments import build_parser, parse_arguments
from pgimport.cli.cluster_commands import doctor
from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.doctor_clients import check_psql
from pgimport.cli.cluster_commands.kubectl import Kubectl
from pgimport.cli.cluster_commands.main import COMMANDS
from pgimport.cli.cluster_commands.screen import Screen

IMAGES = ROOT / "docs" / "images"
RECORDINGS = Path(__file__).parent / "recordings"
NAMESPACE = "shop"
COLUMNS = 100
VERSION = "@@version"  # stands for the version of pgimport
PSQL = "psql (PostgreSQL) 18.6"


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: the command that a person types, and the one that shows the same page once."""

    name: str
    typed: str
    run: str


SHOTS = (
    Shot("import-list", "import list", "import list"),
    Shot("import-watch", "import get nightly -w", "import get nightly"),  # one moment of the live view
    Shot("import-explain", "import explain pr-43-first", "import explain pr-43-first"),
    Shot("import-preflight", "import preflight pr-42-first", "import preflight pr-42-first"),
    Shot("doctor", "doctor", "doctor"),
)


class RecordedKubectl(Kubectl):
    """Gives the answers that kubectl gave when they were recorded."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__([], NAMESPACE)
        self._answers = answers

    def _call(self, arguments: Sequence[str], stdin: str | None) -> "CompletedProcess[str]":
        code, out, err = self._answers[" ".join(arguments)]
        text = out if isinstance(out, str) else json.dumps(out)
        return CompletedProcess(arguments, code, text.replace(VERSION, __version__), err)


@dataclass(frozen=True, slots=True)
class RecordedContext(CommandContext):
    """A context whose clock shows the time of the recording."""

    time: datetime | None = None

    def now(self) -> datetime:
        assert self.time is not None
        return self.time


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def show(words: str, kubectl: Kubectl, time: datetime) -> str:
    """Returns what a command writes to a terminal."""
    arguments = parse_arguments(build_parser("pgimport"), words.split())
    verb = getattr(arguments, "verb", None)
    module, name = COMMANDS[f"{arguments.command} {verb}" if verb else arguments.command]
    terminal = _Terminal()
    screen = Screen(terminal, terminal, {"TERM": "xterm-256color"})
    context = RecordedContext(kubectl, screen, {}, time=time)
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "FORCE_COLOR")}
    variables = {**kept, "COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    with patch.dict(os.environ, variables, clear=True), patch.object(doctor, "_check_psql", lambda: check_psql(PSQL)):
        getattr(import_module(f"pgimport.cli.cluster_commands.{module}"), name)(context, arguments)
    return terminal.getvalue()


def build_picture(shot: Shot) -> str:
    """Returns the picture as SVG."""
    recording = json.loads((RECORDINGS / f"{shot.name}.json").read_text(encoding="utf-8"))
    text = show(shot.run, RecordedKubectl(recording["answers"]), datetime.fromisoformat(recording["time"]))
    lines = [f"{PROMPT}pgimport {shot.typed}", *(re.sub(r"\s+$", "", line) for line in text.splitlines())]
    return draw(lines, title=f"pgimport {shot.typed}", columns=COLUMNS, identifier=shot.name)


def main() -> int:
    """Draws all pictures anew."""
    for shot in SHOTS:
        (IMAGES / f"{shot.name}.svg").write_text(build_picture(shot), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
