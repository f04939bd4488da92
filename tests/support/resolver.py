"""A process whose names are resolved by a server of the tests: work goes in, what it returns comes out.

The system's own resolver is asked, as in a pod; only the file that names its server is another one, in a mount
namespace of the child's own.
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
    """`work` runs in a child process, as root; what it returns must be picklable. Raises what it raised, as text."""
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
            good, found = receiver.recv()
        finally:
            child.join()
    if not good:
        raise AssertionError(found)
    result: Result = found
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
