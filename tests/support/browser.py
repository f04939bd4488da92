"""Starts Debian's Chromium, which is installed if the tests run as root, and drives it with Playwright."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

PACKAGE = "chromium"
# A sandbox of its own needs rights that root in a container lacks. The tests open only their own pages.
OPTIONS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run")


def _find_chromium() -> str:
    """Returns the path of Chromium. Skips the test where it is missing and cannot be installed."""
    if (program := shutil.which(PACKAGE)) is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip("Chromium is missing, and only root on Debian can install it")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (("update",), ("install", "--yes", "--no-install-recommends", PACKAGE)):
            subprocess.run(["apt-get", "--quiet", *command], check=True, capture_output=True, env=quiet)
        program = shutil.which(PACKAGE)
    assert program is not None
    return program


@contextmanager
def run_browser(*options: str) -> Iterator[Browser]:
    """Runs a browser without windows, which loads nothing but what a test opens."""
    program = _find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()
