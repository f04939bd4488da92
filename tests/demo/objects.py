"""Reads the demo's objects and waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.demo.screen import Progress
from tests.support import kubectl

NAMESPACE = "demo"
EXAMPLES = Path("charts/pgimport/examples")
POLL_SECONDS = 0.5
IMPORT_SECONDS = 900

Status = dict[str, Any]


class DemoError(Exception):
    """The demo did not go as expected."""


def read_status(kind: str, name: str, namespace: str | None = NAMESPACE) -> Status:
    status: Status = kubectl.get(kind, name, namespace).get("status", {})
    return status


def follow(name: str) -> Status:
    """Shows an import's progress until its state is terminal. Raises DemoError if that takes too long."""
    progress = Progress()
    deadline = time.monotonic() + IMPORT_SECONDS
    while time.monotonic() < deadline:
        status = read_status("postgresimport", name)
        progress.show(status)
        if status.get("state") in ("completed", "failed", "cancelled"):
            progress.end()
            return status
        time.sleep(POLL_SECONDS)
    progress.end()
    raise DemoError(f"the import {name} has not ended after {IMPORT_SECONDS} s")


def wait_for(look: Callable[[], bool], what: str, seconds: float) -> None:
    try:
        kubectl.wait_until(look, what, seconds)
    except AssertionError as error:
        raise DemoError(str(error)) from None
