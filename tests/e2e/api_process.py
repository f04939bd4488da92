"""Runs the HTTP API as a process of this host."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE

START_SECONDS = 60


@dataclass(frozen=True)
class ApiProcess:
    """A running API: its URL, its process and its log file."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def run_api(folder: Path, kubeconfig: Path | str) -> Iterator[ApiProcess]:
    """Runs `python -m pgimport api`, and ends it after the block unless it ended by itself."""
    (folder / "secret").write_text(secrets.token_hex(24))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PGIMPORT_NAMESPACE": SYSTEM_NAMESPACE,
        "PGIMPORT_API_SECRET_FILE": str(folder / "secret"),
        "PGIMPORT_LISTEN_PORT": str(port),
    }
    log = folder / "api.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "pgimport", "api"], env=environment, stdout=out, stderr=out)
    try:
        program = ApiProcess(f"http://127.0.0.1:{port}", process, log)
        wait_until_ready(program)
        yield program
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def wait_until_ready(program: ApiProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(program):
        assert program.process.poll() is None, program.log.read_text()
        assert time.monotonic() < deadline, program.log.read_text()
        time.sleep(0.1)


def is_ready(program: ApiProcess) -> bool:
    try:
        return httpx.get(f"{program.url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
