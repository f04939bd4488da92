"""Runs a function in a child process that resolves names with the tests' own name server.

The child uses the system's resolver, as a pod does. Its /etc/resolv.conf is another file, in a mount namespace of its
own.
"""

import ctypes
import multiprocessing
import subprocess
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_with_name_server(address: str, work: Callable[[], Result]) -> Result:
    """Calls `work` in a child process, as root, and returns its result, which must be picklable.

    Raises AssertionError with the traceback if `work` raises.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        resolv = Path(folder) / "resolv.conf"
        resolv.write_text(f"nameserver {address}\noptions attempts:1 timeout:2\n")
        resolv.chmod(0o644)
        child = context.Process(target=_run, args=(resolv, work, sender))
        child.start()
        sender.close()
        try:
            succeeded, outcome = receiver.recv()
        finally:
            child.join()
    if not succeeded:
        raise AssertionError(outcome)
    result: Result = outcome
    return result


def _run(resolv: Path, work: Callable[[], Any], sender: Connection) -> None:
    try:
        _unshare_mounts()
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "--bind", resolv, "/etc/resolv.conf"], check=True)
        sender.send((True, work()))
    except BaseException:
        sender.send((False, traceback.format_exc()))


def _unshare_mounts() -> None:
    clone_newns = 0x00020000
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newns) != 0:
        raise OSError(ctypes.get_errno(), "a mount namespace needs root")
