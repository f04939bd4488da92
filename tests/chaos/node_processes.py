"""Finds, kills, stops and restarts processes of the bare cluster: its node and pods are processes of this host."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.bare.processes import Process, recorded, start
from tests.cluster.instance import Instance

PAUSE = "pause"  # the process that holds a pod's network namespace
END_SECONDS = 10.0
START_SECONDS, SETTLE_SECONDS = 60.0, 2.0


def _process_folders() -> Iterator[Path]:
    return (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def find_pod_processes(pod_uid: str) -> list[int]:
    """Find the processes of all containers of a pod by their cgroup."""
    pids = []
    for folder in _process_folders():
        with suppress(OSError):  # the process has just ended
            if pod_uid in (folder / "cgroup").read_text() and (folder / "comm").read_text().strip() != PAUSE:
                pids.append(int(folder.name))
    return pids


def send_signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def find_backend(pod_uid: str, title: str) -> int:
    """Find a process of the PostgreSQL server in a pod by its process title."""
    for pid in find_pod_processes(pod_uid):
        with suppress(OSError):
            if f"postgres: {title}" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"):
                return pid
    raise AssertionError(f"pod {pod_uid} has no process 'postgres: {title}'")


def is_postmaster(pid: int) -> bool:
    """Return whether this is the postmaster. Its children replace their arguments with a process title."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(arguments[0].decode(errors="replace")).name == "postgres"


@dataclass(frozen=True)
class NodeProgram:
    """A program of Kubernetes, with everything that is needed to start it again."""

    instance: Instance
    process: Process
    arguments: tuple[str, ...]
    environment: dict[str, str]

    def kill(self) -> None:
        """Kill the program and wait until it is gone."""
        os.kill(self.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + END_SECONDS
        while self.process.is_alive():
            assert time.monotonic() < deadline, f"{self.process.name} does not end"
            time.sleep(0.02)

    def revive(self) -> None:
        """Start the program until it stays alive, as an init system does.

        For example, a kubelet ends if its containerd is not ready yet.
        """
        deadline = time.monotonic() + START_SECONDS
        while not _stays_alive(start(self.instance, self.process.name, self.arguments, self.environment)):
            assert time.monotonic() < deadline, f"{self.process.name} does not stay alive"


def _stays_alive(process: Process) -> bool:
    deadline = time.monotonic() + SETTLE_SECONDS
    while process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.is_alive()


def find_program(instance: Instance, name: str) -> NodeProgram:
    (process,) = [process for process in recorded(instance) if process.name == name]
    folder = Path(f"/proc/{process.pid}")
    arguments = (folder / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
    variables = (folder / "environ").read_bytes().decode().rstrip("\0").split("\0")
    environment = dict(variable.split("=", 1) for variable in variables if "=" in variable)
    return NodeProgram(instance, process, tuple(arguments), environment)
