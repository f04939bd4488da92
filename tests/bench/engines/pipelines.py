"""Runs pipelines of programs one after the other and measures what they use."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.engines.process_usage import cpu_seconds, folder_bytes, memory_bytes, process_tree
from tests.bench.engines.wait_events import WaitEvents, WaitSampler
from tests.support.postgres import PostgresServer

SAMPLE_SECONDS = 0.25
MAX_ERROR_LENGTH = 2000  # characters of a failed program's output

Command = Sequence[str | Path]
Pipeline = Sequence[Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """What one run of one engine took."""

    seconds: float
    started_at: float  # by the monotonic clock, as all times in this module
    cpu: Mapping[str, float]  # source, target, client → CPU seconds
    memory_bytes: int  # the client's highest
    scratch_bytes: int
    lines: Sequence[tuple[float, str]] = ()  # output of the last program, with the time of each line
    failure: str | None = None
    waits: WaitEvents | None = None  # of the target's backends


@dataclass(slots=True)
class _UsageSampler:
    """Samples the memory of the client's processes and the size of its folder."""

    folder: Path
    pids: list[int] = field(default_factory=list)
    memory: int = 0
    scratch: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self.memory = max(self.memory, sum(memory_bytes(pid) for pid in tuple(self.pids)))
            self.scratch = max(self.scratch, folder_bytes(self.folder))

    def stop(self) -> None:
        self._stopped.set()


def _start(pipeline: Pipeline, environment: Mapping[str, str], log: Path) -> list["subprocess.Popen[str]"]:
    processes: list[subprocess.Popen[str]] = []
    stdin = None
    with log.open("ab") as errors:
        for command in pipeline:
            process = subprocess.Popen(
                command,
                stdin=stdin or subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
                start_new_session=True,
            )
            if stdin is not None:
                stdin.close()  # the next process has its own copy
            stdin = process.stdout
            processes.append(process)
    return processes


def _kill_process_trees(pids: Sequence[int]) -> None:
    """Send SIGKILL, because some engines hang and ignore SIGTERM."""
    for pid in [descendant for root in pids for descendant in process_tree(root)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for_cpu_seconds(process: "subprocess.Popen[str]") -> float:
    """Wait for the end of the process and return its CPU seconds with those of its children."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


@dataclass(slots=True)
class _Client:
    """Runs the programs of one engine and adds up what they use."""

    environment: Mapping[str, str]
    log: Path
    sampler: _UsageSampler
    deadline: float
    cpu: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)

    def run(self, pipeline: Pipeline) -> str | None:
        """Run a pipeline; return the failure, if any."""
        processes = _start(pipeline, self.environment, self.log)
        self.sampler.pids[:] = [process.pid for process in processes]
        seconds_left = self.deadline - time.monotonic()
        watchdog = threading.Timer(seconds_left, _kill_process_trees, [tuple(self.sampler.pids)])
        watchdog.start()
        try:
            output = processes[-1].stdout
            assert output is not None
            with output:
                self.lines.extend((time.monotonic(), line.rstrip("\n")) for line in output)
            self.cpu += sum(_wait_for_cpu_seconds(process) for process in processes)
        finally:
            watchdog.cancel()
        failures = [
            f"{Path(command[0]).name} ended with {process.returncode}"
            for command, process in zip(pipeline, processes, strict=True)
            if process.returncode
        ]
        return (
            f"{'; '.join(failures)}: {self.log.read_text(errors='replace')[-MAX_ERROR_LENGTH:]}" if failures else None
        )


def run_pipelines(
    pipelines: Sequence[Pipeline],
    environment: Mapping[str, str],
    servers: Mapping[str, PostgresServer],
    scratch: Path,
    log: Path,
    timeout_seconds: float,
) -> EngineRun:
    """Run the pipelines until one fails. A failure is part of the result and raises nothing."""
    sampler = _UsageSampler(scratch)
    sampling = threading.Thread(target=sampler.run)
    wait_sampler = WaitSampler(servers["target"]) if "target" in servers else None
    before = {role: cpu_seconds(server.pid) for role, server in servers.items()}
    sampling.start()
    if wait_sampler is not None:
        wait_sampler.start()
    started_at = time.monotonic()
    client = _Client(environment, log, sampler, started_at + timeout_seconds)
    try:
        failure = next(filter(None, map(client.run, pipelines)), None)
        seconds = time.monotonic() - started_at
    finally:
        sampler.stop()
        sampling.join()
        waits = wait_sampler.stop() if wait_sampler is not None else None
    used = {role: cpu_seconds(server.pid) - before[role] for role, server in servers.items()}
    return EngineRun(
        seconds=seconds,
        started_at=started_at,
        cpu={**used, "client": client.cpu},
        memory_bytes=sampler.memory,
        scratch_bytes=sampler.scratch,
        lines=client.lines,
        failure=failure,
        waits=waits,
    )
