"""Records the arguments and environments of all processes while a block runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import kubectl

# A child of the worker may live for only a tenth of a second.
PAUSE_SECONDS = 0.05
_INSIDE = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null || true"


def _read_host() -> Iterator[bytes]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            for name in ("cmdline", "environ"):
                with suppress(OSError):  # it has just ended, or is a thread of the kernel
                    yield (process / name).read_bytes()


def _read_pods() -> Iterator[bytes]:
    """Reads from inside the pods, because the nodes are other machines."""
    for pod in kubectl.list_objects("pods"):
        meta = pod["metadata"]
        with suppress(kubectl.KubectlError):
            yield kubectl.execute(meta["namespace"], meta["name"], "sh", "-c", _INSIDE).encode()


def _runs_here() -> bool:
    return (kubectl.cluster_folder() / "provider").read_text().strip() == "bare"


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Yields a set that collects every argument list and environment of the processes that run during the block."""
    records: set[bytes] = set()
    stop = threading.Event()
    read = _read_host if _runs_here() else _read_pods

    def watch() -> None:
        while not stop.wait(PAUSE_SECONDS):
            records.update(read())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield records
    finally:
        stop.set()
        watcher.join()
