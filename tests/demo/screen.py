"""Prints the demo's messages, with colours if standard output is a terminal."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import time
from typing import Any

BAR_WIDTH = 24
BOLD, DIM, GREEN, RED, BLUE = "1", "2", "32", "31", "34"


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def coloured(text: str, *codes: str) -> str:
    return f"\033[{';'.join(codes)}m{text}\033[0m" if _on_terminal() else text


def tell(text: str = "") -> None:
    print(text, flush=True)


def tell_step(title: str) -> None:
    tell()
    tell(coloured(f"▸ {title}", BOLD, BLUE))


def tell_command(*lines: str) -> None:
    """Prints commands that a person would type."""
    for line in lines:
        tell(coloured(f"  $ {line}", DIM))


def tell_output(text: str) -> None:
    for line in text.rstrip().splitlines():
        tell(f"  {line}")


def tell_good(text: str) -> None:
    tell(coloured(f"  ✓ {text}", GREEN))


def tell_bad(text: str) -> None:
    tell(coloured(f"  ✗ {text}", RED))


def tell_table(text: str) -> None:
    """Prints CSV with a header as a table, whose numeric columns are aligned to the right."""
    rows = list(csv.reader(io.StringIO(text)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [all(cell.isdigit() for cell in column[1:]) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        line = f"  {'   '.join(cells)}".rstrip()
        tell(coloured(line, BOLD) if number == 0 else line)


def as_bytes(amount: float) -> str:
    """Formats a number of bytes, such as `1.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


class Progress:
    """Shows an import's progress: one updated line on a terminal, or else one line per change."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last = ""

    def show(self, status: dict[str, Any]) -> None:
        text = self._describe(status)
        if _on_terminal():
            seconds = int(time.monotonic() - self._start)
            line = f"  {text}  {seconds // 60}:{seconds % 60:02d}"
            print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        elif text != self._last:
            tell(f"  [{time.monotonic() - self._start:5.1f}s] {text}")
        self._last = text

    def end(self) -> None:
        if _on_terminal():
            tell()

    def _describe(self, status: dict[str, Any]) -> str:
        state = status.get("state") or "not observed"
        progress = status.get("progress")
        if state == "pending" or not progress:
            reasons = [entry["reason"] for entry in status.get("conditions", ()) if entry["type"] == "Ready"]
            return f"{state:<10} {' '.join(reasons)}".rstrip()
        percent = progress.get("percent", 0)
        full = round(BAR_WIDTH * percent / 100)
        parts = [f"{progress['phase']:<10} {'█' * full}{'░' * (BAR_WIDTH - full)} {percent:3d} %"]
        if total := progress.get("tablesTotal"):
            parts.append(f"{progress.get('tablesDone', 0)}/{total} tables")
        if total := progress.get("bytesTotal"):
            parts.append(f"{as_bytes(progress.get('bytesDone', 0))} of {as_bytes(total)}")
        if rate := progress.get("bytesPerSecond"):
            parts.append(f"{as_bytes(rate)}/s")
        return "  ".join(parts)
