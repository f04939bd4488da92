"""This host, on which bare's node and its pods are plain processes: found by their cgroup, killed, stopped, revived."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.bare.processes import Process, recorded, start
from tests.cluster.instance import Instance

PAUSE = "pause"  # the process that holds a pod's network
SECONDS_TO_END = 10.0
SECONDS_TO_LIVE, SECONDS_TO_SETTLE = 60.0, 2.0  # of a program that is started anew


def _pids() -> Iterator[Path]:
    return (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def processes_of_pod(uid: str) -> list[int]:
    """Of all its containers."""
    found = []
    for folder in _pids():
        with suppress(OSError):  # it has just ended
            if uid in (folder / "cgroup").read_text() and (folder / "comm").read_text().strip() != PAUSE:
                found.append(int(folder.name))
    return found


def send(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def find_backend(uid: str, title: str) -> int:
    """A process of the PostgreSQL in this pod, by the title that it gives itself."""
    for pid in processes_of_pod(uid):
        with suppress(OSError):
            if f"postgres: {title}" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"):
                return pid
    raise AssertionError(f"pod {uid} has no process 'postgres: {title}'")


def is_first_of_server(pid: int) -> bool:
    """The process that PostgreSQL's others are children of; it alone has its own arguments."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(words[0].decode(errors="replace")).name == "postgres"


@dataclass(frozen=True)
class Program:
    """One of Kubernetes' own, with all that it takes to start it again."""

    instance: Instance
    process: Process
    arguments: tuple[str, ...]
    environment: dict[str, str]

    def kill(self) -> None:
        """Without a word of warning; returns once it is gone."""
        os.kill(self.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_END
        while self.process.is_alive():
            assert time.monotonic() < deadline, f"{self.process.name} does not end"
            time.sleep(0.02)

    def revive(self) -> None:
        """As an init system does: a kubelet that finds its containerd not ready ends, and is started once more."""
        deadline = time.monotonic() + SECONDS_TO_LIVE
        while not _lives(start(self.instance, self.process.name, self.arguments, self.environment)):
            assert time.monotonic() < deadline, f"{self.process.name} does not live"


def _lives(process: Process) -> bool:
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.is_alive()


def find_program(instance: Instance, name: str) -> Program:
    (process,) = [one for one in recorded(instance) if one.name == name]
    folder = Path(f"/proc/{process.pid}")
    words = (folder / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
    pairs = (folder / "environ").read_bytes().decode().rstrip("\0").split("\0")
    return Program(instance, process, tuple(words), dict(pair.split("=", 1) for pair in pairs if "=" in pair))
