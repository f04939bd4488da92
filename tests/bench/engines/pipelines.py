"""Pipelines of programs come in; they run one after the other, and what they took goes out."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.engines.process_usage import cpu_seconds, family, folder_bytes, memory_bytes
from tests.bench.engines.wait_events import Waits, Watch
from tests.support.postgres import PostgresServer

SAMPLE_SECONDS = 0.25
TAIL = 2000  # characters of what a failed program said

Command = Sequence[str | Path]
Pipeline = Sequence[Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One run of one engine."""

    seconds: float
    begun: float  # of the monotonic clock, as all times here
    cpu: Mapping[str, float]  # source, target, client → seconds
    memory_bytes: int  # the client's, at its highest
    scratch_bytes: int
    lines: Sequence[tuple[float, str]] = ()  # of the last program's output, with their times
    failure: str | None = None
    waits: Waits | None = None  # of the target's backends


@dataclass(slots=True)
class _Sampler:
    """Looks at the client's processes and its folder now and then."""

    folder: Path
    pids: list[int] = field(default_factory=list)
    memory: int = 0
    scratch: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.memory = max(self.memory, sum(memory_bytes(pid) for pid in tuple(self.pids)))
            self.scratch = max(self.scratch, folder_bytes(self.folder))

    def stop(self) -> None:
        self._over.set()


def _start(pipeline: Pipeline, environment: Mapping[str, str], log: Path) -> list["subprocess.Popen[str]"]:
    processes: list[subprocess.Popen[str]] = []
    stdin = None
    with log.open("ab") as sink:
        for command in pipeline:
            one = subprocess.Popen(
                command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sink, env=environment,
                text=True, start_new_session=True,
            )  # fmt: skip
            if stdin is not None:
                stdin.close()  # its reader has it
            stdin = one.stdout
            processes.append(one)
    return processes


def _end_families(pids: Sequence[int]) -> None:
    """A watchdog's work: some engines hang for ever, and do not hear SIGTERM."""
    for pid in [one for root in pids for one in family(root)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _await(process: "subprocess.Popen[str]") -> float:
    """Its processor seconds, with those of its children."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


@dataclass(slots=True)
class _Client:
    """The programs of one run."""

    environment: Mapping[str, str]
    log: Path
    sampler: _Sampler
    deadline: float
    cpu: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)

    def run(self, pipeline: Pipeline) -> str | None:
        """What went wrong, if anything."""
        processes = _start(pipeline, self.environment, self.log)
        self.sampler.pids[:] = [one.pid for one in processes]
        watchdog = threading.Timer(self.deadline - time.monotonic(), _end_families, [tuple(self.sampler.pids)])
        watchdog.start()
        try:
            output = processes[-1].stdout
            assert output is not None
            with output:
                self.lines.extend((time.monotonic(), line.rstrip("\n")) for line in output)
            self.cpu += sum(_await(one) for one in processes)
        finally:
            watchdog.cancel()
        bad = [f"{Path(command[0]).name} ended with {one.returncode}"
               for command, one in zip(pipeline, processes, strict=True) if one.returncode]  # fmt: skip
        return f"{'; '.join(bad)}: {self.log.read_text(errors='replace')[-TAIL:]}" if bad else None


def run_pipelines(
    pipelines: Sequence[Pipeline], environment: Mapping[str, str], servers: Mapping[str, PostgresServer],
    scratch: Path, log: Path, patience_seconds: float,
) -> Taken:  # fmt: skip
    """Never raises for what an engine does: its failure is part of the answer."""
    sampler = _Sampler(scratch)
    watching = threading.Thread(target=sampler.run)
    watch = Watch(servers["target"]) if "target" in servers else None
    before = {role: cpu_seconds(server.pid) for role, server in servers.items()}
    watching.start()
    if watch is not None:
        watch.start()
    begun = time.monotonic()
    client = _Client(environment, log, sampler, begun + patience_seconds)
    try:
        failure = next(filter(None, map(client.run, pipelines)), None)
        seconds = time.monotonic() - begun
    finally:
        sampler.stop()
        watching.join()
        waits = watch.stop() if watch is not None else None
    used = {role: cpu_seconds(server.pid) - before[role] for role, server in servers.items()}
    return Taken(
        seconds=seconds, begun=begun, cpu={**used, "client": client.cpu}, memory_bytes=sampler.memory,
        scratch_bytes=sampler.scratch, lines=client.lines, failure=failure, waits=waits,
    )  # fmt: skip
