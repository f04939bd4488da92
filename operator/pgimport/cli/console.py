"""What a person or a program sees: the worker's lines and our own words in, a terminal or JSON lines out."""

import json
from collections.abc import Iterable
from typing import Any, TextIO

from pgimport.model.reasons import MEANINGS, Failure, Reason
from pgimport.model.result import CheckStatus, PreflightReport
from pgimport.model.status import Progress

BAR = 24  # cells
_UNITS = ("B", "kB", "MB", "GB", "TB")
# Where the usual hint speaks of resources, which nobody has here.
_HINTS = {
    Reason.TARGET_NOT_EMPTY: "--recreate replaces it as a whole",
    Reason.EXTENSION_NOT_ALLOWED: "drop the extension at the source, or name it with --allow-extension",
    Reason.CLIENT_TOO_OLD: "install current PostgreSQL clients, or name their folder in PGIMPORT_CLIENTS",
    Reason.SOURCE_AUTH_FAILED: "check user and password in the source URL",
    Reason.SERVER_UNREACHABLE: "check host and port in the target URL, and the server's health",
    Reason.SERVER_AUTH_FAILED: "check user and password in the target URL",
    Reason.INVALID_SPEC: "see pgimport run --help",
    Reason.SCRATCH_FULL: "let TMPDIR name a folder with more room",
    Reason.WORKER_OUT_OF_MEMORY: "lower --jobs",
}
_SIGNS = {CheckStatus.PASS: "✓", CheckStatus.WARN: "!", CheckStatus.FAIL: "✗"}


def format_bytes(count: int) -> str:
    """1_234_567 → `1.2 MB`."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def format_progress(progress: Progress) -> str:
    """One line: phase, bar, percent, and what is known of tables, bytes, rate and end."""
    filled = BAR * max(0, min(progress.percent, 100)) // 100
    parts = [f"{progress.phase.value:<9} {'█' * filled}{'░' * (BAR - filled)} {progress.percent:>3} %"]
    if progress.tables_total:
        parts.append(f"{progress.tables_done or 0}/{progress.tables_total} tables")
    if progress.bytes_total:
        parts.append(f"{format_bytes(progress.bytes_done or 0)} of {format_bytes(progress.bytes_total)}")
    if progress.bytes_per_second:
        parts.append(f"{format_bytes(progress.bytes_per_second)}/s")
    if progress.eta_seconds:
        parts.append(f"{progress.eta_seconds} s left")
    return "  ".join(parts)


def build_hint(failure: Failure) -> str:
    return _HINTS.get(failure.reason, failure.hint)


def find_exit_code(failure: Failure) -> int:
    """The reason's own, else 1."""
    return MEANINGS[failure.reason].exit_code or 1


class Console:
    """`out` is for results, `err` for everything on the way; with `as_json`, lines of JSON go to `out` alone."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self._out, self._err, self._json = out, err, as_json
        self._live = err.isatty() and not as_json
        self._drawn = False

    def listen(self, line: str) -> None:
        """A line of the worker. Its errors are not shown here: the failure at the end says the same."""
        if self._json:
            print(line, file=self._out, flush=True)
            return
        try:
            told = json.loads(line)
            told = told if isinstance(told, dict) else {}
            progress = Progress.model_validate(told["progress"]) if "progress" in told else None
        except (ValueError, TypeError):
            progress, told = None, {}
        if progress is not None and self._live:
            self._draw(format_progress(progress))
        elif isinstance(told.get("log"), dict) and told["log"].get("level") == "warning":
            self.say(str(told["log"].get("message", "")))

    def _draw(self, text: str) -> None:
        self._err.write(f"\r\x1b[2K{text}")
        self._err.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._err.write("\r\x1b[2K")
            self._drawn = False

    def say(self, text: str) -> None:
        """A step, a note or a warning, for a person."""
        if not self._json:
            self._clear()
            print(text, file=self._err, flush=True)

    def report(self, preflight: PreflightReport | None) -> None:
        """The checks, one a line."""
        for check in preflight.checks if preflight else ():
            self.say(f"  {_SIGNS[check.status]} {check.name}: {check.detail}")

    def result(self, lines: Iterable[str], **facts: Any) -> None:
        """The last words of a run that did what was asked."""
        self._clear()
        if self._json:
            print(json.dumps({"result": {"ok": True, **facts}}, ensure_ascii=False), file=self._out, flush=True)
        else:
            print("\n".join(lines), file=self._out, flush=True)

    def fail(self, failure: Failure) -> int:
        """One line on stderr; returns the exit code."""
        self._clear()
        if self._json:
            told = {
                "ok": False,
                "reason": failure.reason.value,
                "message": failure.message,
                "hint": build_hint(failure),
                "retryClassification": failure.classification.value,
            }
            print(json.dumps({"result": told}, ensure_ascii=False), file=self._out, flush=True)
        hint = f" (hint: {build_hint(failure)})" if build_hint(failure) else ""
        print(f"pgimport: {failure.reason.value}: {failure.message}{hint}", file=self._err, flush=True)
        return find_exit_code(failure)
