"""Tests that after an interrupted `up`, the next `up` works and `down` leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cluster.bare import cgroups
from tests.cluster.host_state import read_host_state
from tests.cluster.instance import Instance
from tests.cluster.isolated_cluster import IsolatedCluster

pytestmark = [pytest.mark.thorough, pytest.mark.slow]

# Files by which an `up` shows how far it is.
MOMENTS = {
    "before the first change of the host": "lock",
    "the host is being changed": "host.json",
    "keys are being made": "keys/ca.crt",
    "etcd has started": "pids/etcd.json",
    "the kubelet has started": "pids/kubelet.json",
}

SECONDS_TO_GET_THERE = 60.0


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS_TO_GET_THERE
    while not path.exists() and process.poll() is None:
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def _interrupt(isolated: IsolatedCluster, moment: str, how: signal.Signals) -> None:
    """Interrupts an `up`: with SIGINT its whole process group, as Ctrl-C does, with SIGKILL one process."""
    process = isolated.start("cluster")
    _wait_for(isolated.instance.folder / moment, process)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    process.communicate()
    assert process.returncode != 0, f"`up` was through before {how.name} came"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_up_after_an_interrupted_up(isolated: IsolatedCluster, how: signal.Signals) -> None:
    before = read_host_state(isolated)
    for moment in MOMENTS.values():
        _interrupt(isolated, moment, how)
    isolated.call("cluster")
    isolated.call("down")
    after = read_host_state(isolated)
    assert {what: sorted(after[what] ^ before[what]) for what in before if after[what] != before[what]} == {}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_down_after_a_killed_up(isolated: IsolatedCluster, moment: str) -> None:
    before = read_host_state(isolated)
    _interrupt(isolated, moment, signal.SIGKILL)
    isolated.call("down")
    after = read_host_state(isolated)
    assert {what: sorted(after[what] ^ before[what]) for what in before if after[what] != before[what]} == {}


def test_a_dead_program_is_noticed(running: IsolatedCluster) -> None:
    """The next `up` replaces a cluster whose scheduler died."""
    note = running.instance.folder / "pids" / "kube-scheduler.json"
    dead = json.loads(note.read_text())["pid"]
    os.kill(dead, signal.SIGKILL)
    running.call("cluster")
    assert json.loads(note.read_text())["pid"] != dead


def test_up_beside_what_an_ended_cluster_left(isolated: IsolatedCluster) -> None:
    """All processes of a cluster were killed, and the next `up` belongs to another checkout."""
    before = read_host_state(isolated)
    isolated.call("cluster")
    cgroups.end_members(isolated.instance.name)
    another = replace(isolated, instance=Instance(isolated.instance.folder.with_name("d")))
    another.call("cluster")
    another.call("down")
    isolated.call("down")  # there is only its folder left
    after = read_host_state(isolated)
    assert {what: sorted(after[what] ^ before[what]) for what in before if after[what] != before[what]} == {}


def test_up_beside_a_running_cluster_is_refused(running: IsolatedCluster) -> None:
    another = replace(running, instance=Instance(running.instance.folder.with_name("d")))
    process = another.start("cluster")
    output, _ = process.communicate()
    assert process.returncode != 0
    assert f"the cluster of {running.instance.folder} is up on this host" in output
