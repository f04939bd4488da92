"""Starts programs in the instance's cgroup, with a log each, and records their ids and start times."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.bare.cgroups import system_procs
from tests.cluster.commands import SHOWN_LINES, search_path
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance


@dataclass(frozen=True)
class Process:
    """A process, identified by its id and its start time, because ids are reused."""

    name: str
    pid: int
    started: int

    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Returns the clock ticks from boot to the start of a process; None if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may hold spaces and brackets itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def log_of(instance: Instance, name: str) -> Path:
    return instance.folder / "logs" / f"{name}.log"


def _note_of(instance: Instance, name: str) -> Path:
    return instance.folder / "pids" / f"{name}.json"


def _joining(procs: Path) -> Callable[[], None]:
    """Returns a function for the child that joins the cgroup before the program starts."""
    path = os.fsencode(procs)

    def join() -> None:
        descriptor = os.open(path, os.O_WRONLY)
        os.write(descriptor, b"0")
        os.close(descriptor)

    return join


def start(
    instance: Instance, name: str, arguments: Sequence[str | Path], env: Mapping[str, str] | None = None
) -> Process:
    """Starts a program in a session of its own, so that Ctrl-C in the terminal of `up` does not end it."""
    for path in (log_of(instance, name), _note_of(instance, name)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with log_of(instance, name).open("ab") as log:
        child = subprocess.Popen(
            [str(word) for word in arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": search_path(), "HOME": str(instance.folder), **(env or {})},
            start_new_session=True,
            preexec_fn=_joining(system_procs(instance.name)),
        )
    started = start_time(child.pid)
    # Its parent is this `up`, which ends before it: without this, Popen would warn that it still runs.
    child.returncode = 0
    if started is None:
        raise ClusterError(died(instance, name))
    process = Process(name, child.pid, started)
    _note_of(instance, name).write_text(json.dumps({"pid": process.pid, "started": process.started}))
    return process


def recorded(instance: Instance) -> list[Process]:
    processes = []
    for note in sorted((instance.folder / "pids").glob("*.json")):
        try:
            content = json.loads(note.read_text())
        except ValueError:
            continue  # written half-way by a killed `up`; its cgroup still knows the process
        processes.append(Process(note.stem, content["pid"], content["started"]))
    return processes


def died(instance: Instance, name: str) -> str:
    """Returns the error message for a program that ended, with the end of its log."""
    log = log_of(instance, name)
    lines = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:] if log.exists() else []
    return f"{name} ended; the last lines of {log}:\n" + "\n".join(lines)
