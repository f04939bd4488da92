"""Runs a second bare cluster in a network namespace of its own, for tests of the bare cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.instance import REPOSITORY, Instance


@dataclass(frozen=True)
class IsolatedCluster:
    """A cluster whose network namespace a sleeping process keeps open. It shares all else with this host."""

    instance: Instance
    holder: int

    def enter(self, *words: str | Path) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder}/ns/net", *(str(word) for word in words)]

    def ask(self, *words: str | Path) -> str:
        return run(self.enter(*words))

    def kubectl(self, *words: str | Path, text_in: str | None = None) -> str:
        program = self.instance.programs / "kubectl"
        arguments = [program, "--kubeconfig", self.instance.kubeconfig, *words]
        return run(self.enter(*arguments), text_in=text_in)

    def start(self, verb: str) -> subprocess.Popen[str]:
        """Starts a verb in a process group of its own, which a test can interrupt as a terminal does."""
        return subprocess.Popen(
            self.enter(sys.executable, "-m", "tests.cluster", verb),
            cwd=REPOSITORY,
            env={**os.environ, "CLUSTER": "bare", "PGIMPORT_CLUSTER_DIR": str(self.instance.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell without job control makes its background processes ignore SIGINT; a terminal does not.
            preexec_fn=_restore_sigint,
        )

    def call(self, verb: str) -> None:
        process = self.start(verb)
        output, _ = process.communicate()
        assert process.returncode == 0, output


def _restore_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def isolated_network(folder: Path) -> Iterator[IsolatedCluster]:
    with subprocess.Popen(
        # `read` is part of the shell, so the process looks the same from its first line of output to its end.
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo up; read -r end"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "up\n"
            yield IsolatedCluster(Instance(folder), holder.pid)
        finally:
            holder.send_signal(signal.SIGKILL)
