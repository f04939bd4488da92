"""Runs the operator as a process of this host, which a test can kill, pause or duplicate."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.support import kubectl

DEPLOYMENT = "pgimport-operator"
WORKER_IMAGES = "PGIMPORT_WORKER_IMAGES"
_TAKEN = (WORKER_IMAGES, "PGIMPORT_IMAGE_PULL_POLICY")


def chart_settings() -> dict[str, str]:
    """Returns the image settings of the chart's operator."""
    (container,) = kubectl.get("deployment", DEPLOYMENT, SYSTEM_NAMESPACE)["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if entry["name"] in _TAKEN}


@contextmanager
def stopped_deployment() -> Iterator[None]:
    """Stops the chart's operator during the block."""
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", "--replicas=0")
    try:
        kubectl.run("-n", SYSTEM_NAMESPACE, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator")
        yield
    finally:
        kubectl.run("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", "--replicas=1")


class Operator:
    """One operator process; `start` and `kill` may be repeated."""

    def __init__(self, kubeconfig: Path, log: Path, **settings: str) -> None:
        self._environment = {
            **os.environ,
            **chart_settings(),
            "KUBECONFIG": str(kubeconfig),
            "PGIMPORT_NAMESPACE": SYSTEM_NAMESPACE,
            "PGIMPORT_SWEEP_SECONDS": "2",
            **settings,
        }
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._metrics_port = ""

    def start(self) -> None:
        with socket.socket() as health, socket.socket() as metrics:
            ports = {}
            for name, listener in (("HEALTH", health), ("METRICS", metrics)):
                listener.bind(("127.0.0.1", 0))
                ports[f"PGIMPORT_{name}_PORT"] = str(listener.getsockname()[1])
        self._metrics_port = ports["PGIMPORT_METRICS_PORT"]
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pgimport", "operator"],
                env={**self._environment, **ports},
                stdout=out,
                stderr=out,
            )

    def kill(self) -> None:
        """Kills the process with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def pause(self) -> None:
        """Stops the process with SIGSTOP until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def start_twin(self) -> "Operator":
        """Starts a second operator with the same settings, as after a failed upgrade."""
        twin = copy(self)
        twin._process = None
        twin.start()
        return twin

    @contextmanager
    def restarted(self, **settings: str) -> Iterator[None]:
        """Runs the operator with other settings during the block."""
        before = self._environment
        try:
            self.kill()
            self._environment = before | settings
            self.start()
            yield
        finally:
            self.kill()
            self._environment = before
            self.start()

    @property
    def pid(self) -> int:
        """The process's id. Raises RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError("the operator was not started")
        return self._process.pid

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ensure(self) -> None:
        """Starts the operator unless it runs."""
        if not self.lives:
            self.start()
