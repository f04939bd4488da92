"""Runs the blocks of one page in one shell session and compares what they print with the page.

Commands of a page share a working directory and their variables, as they do for a person who pastes them one after
the other. A page names hosts and URLs that nobody has; `replacements` maps them to those of the test, and the output
is mapped back before it is compared.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.blocks import Block

ANYTHING = "…"
_BEGIN, _END = "@@begin", "@@end"


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, what it must print, and how it must end."""

    block: Block
    expected: Block | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step printed, and how it ended."""

    step: Step
    output: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Session:
    """The surroundings in which a page's commands run."""

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    replacements: Mapping[str, str] = field(repr=False)  # what the page says → what the test has
    seconds: float = 120

    def run(self, blocks: list[Block], runner: str) -> list[Outcome]:
        """Writes the page's files, runs its commands with bash, and returns one outcome for each step."""
        steps = build_steps(blocks, runner)
        script = self.folder / "page.sh"
        script.write_text(self._build_script(blocks, {step.block.line: step for step in steps}))
        done = subprocess.run(
            ["bash", script],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        parts = _split(done.stdout, len(steps))
        return [self._build_outcome(step, *part) for step, part in zip(steps, parts, strict=True)]

    def _build_script(self, blocks: list[Block], steps: Mapping[int, Step]) -> str:
        lines = ["trap 'failed=$?' ERR", "trap 'kill $(jobs -p) 2> /dev/null' EXIT"]
        for block in blocks:
            text = self.replace(block.text)
            if name := block.marks.get("file"):
                (self.folder / name).write_text(text)
            if block.line in steps:
                stdin = f"printf '%s' '{self.replace(block.marks['stdin'])}' | " if "stdin" in block.marks else ""
                lines += [f"echo {_BEGIN}", "failed=0", f"{stdin}{text}".rstrip(), f'echo; echo "{_END} $failed"']
        return "\n".join(lines) + "\n"

    def replace(self, text: str) -> str:
        """Maps what the page says to what the test has."""
        for written, real in self.replacements.items():
            text = text.replace(written, real)
        return text

    def _build_outcome(self, step: Step, output: str, exit_code: int) -> Outcome:
        for written, real in self.replacements.items():
            output = output.replace(real, written)
        return Outcome(step, output, exit_code)


def build_steps(blocks: list[Block], runner: str) -> list[Step]:
    """Pairs each block of commands with the block of its output, if the page shows it."""
    steps: list[Step] = []
    for index, block in enumerate(blocks):
        if block.marks.get("run") != runner:
            continue
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        expected = following if following is not None and "output" in following.marks else None
        steps.append(Step(block, expected, int(block.marks.get("exit", "0"))))
    return steps


def _split(stdout: str, count: int) -> list[tuple[str, int]]:
    parts = re.findall(rf"^{_BEGIN}\n(.*?)^{_END} (\d+)$", stdout, re.MULTILINE | re.DOTALL)
    assert len(parts) == count, f"the shell ended early:\n{stdout}"
    return [(output.strip("\n"), int(code)) for output, code in parts]


def find_problem(outcome: Outcome) -> str | None:
    """Returns what is wrong with an outcome, or None."""
    step = outcome.step
    if outcome.exit_code != step.exit_code:
        return f"{step.block.title}: exit code {outcome.exit_code} instead of {step.exit_code}:\n{outcome.output}"
    if step.expected is not None and not matches(step.expected.text, outcome.output):
        return f"{step.expected.title}: the page says\n{step.expected.text}\nand the commands print\n{outcome.output}"
    return None


def matches(expected: str, output: str) -> bool:
    """Compares line by line; `…` stands for any text within a line, and alone on a line for any number of lines."""
    pattern = ""
    for line in expected.strip("\n").splitlines():
        if line.strip() == ANYTHING:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.rstrip().split(ANYTHING))) + r"[ \t]*\n"
    return re.fullmatch(pattern, output.strip("\n") + "\n") is not None
