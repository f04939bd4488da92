"""Fault × phase: everything that can die, hang, fill up or fall silent, in every phase in which it is at work."""

import signal
from collections.abc import Callable, Collection
from dataclasses import replace

from tests.chaos import node_processes
from tests.chaos.chaos_environment import End, Stage, Trouble
from tests.chaos.database_proxies import Wire
from tests.chaos.import_phases import Phase
from tests.cluster.instance import this_instance
from tests.e2e.postgres_pods import EMBEDDED, Postgres
from tests.support import kubectl

PREFLIGHT, GATE, SCHEMA, DATA, INDEXES, VERIFY, SWAP, DROP = Phase
LIVING = (PREFLIGHT, GATE, SCHEMA, DATA, INDEXES, VERIFY)  # a pod is at work
READING = (PREFLIGHT, SCHEMA, DATA, INDEXES, VERIFY)  # a connection to the source is open
WRITING = (GATE, SCHEMA, DATA, INDEXES, VERIFY, SWAP, DROP)  # one to the target server is

SHORT_STALL = {"stallTimeout": "15s"}


def _nothing() -> None:
    """There is nothing to be mended."""


def _pod_processes(stage: Stage, name: str) -> list[int]:
    uid = stage.tenant.get(name)["metadata"]["uid"]
    return [pid for pod in stage.tenant.pods(uid) for pid in node_processes.processes_of_pod(pod["metadata"]["uid"])]


def _kill_worker(stage: Stage, name: str) -> End:
    node_processes.send(_pod_processes(stage, name), signal.SIGKILL)
    return _nothing


def _stop_worker(stage: Stage, name: str) -> End:
    pids = _pod_processes(stage, name)
    node_processes.send(pids, signal.SIGSTOP)
    return lambda: node_processes.send(pids, signal.SIGCONT)


def _kill_operator(stage: Stage, _: str) -> End:
    stage.operator.kill()
    return stage.operator.ensure


def _stop_operator(stage: Stage, _: str) -> End:
    stage.operator.pause()
    return stage.operator.resume


def _server_uid(server: Postgres) -> str:
    return str(kubectl.get("pod", server.pod, server.namespace)["metadata"]["uid"])


def _crash(server: Postgres) -> End:
    """One process of the server dies: it ends all sessions and recovers from its log, as after a power cut."""
    node_processes.send([node_processes.find_backend(_server_uid(server), "checkpointer")], signal.SIGKILL)
    return _nothing


def _freeze(server: Postgres) -> End:
    pids = node_processes.processes_of_pod(_server_uid(server))
    node_processes.send(pids, signal.SIGSTOP)
    return lambda: node_processes.send(pids, signal.SIGCONT)


def _restart(server: Postgres) -> End:
    """Kindly: sessions end with 57P01, and the next ones are told to wait."""
    (first,) = [
        pid for pid in node_processes.processes_of_pod(_server_uid(server)) if node_processes.is_first_of_server(pid)
    ]
    node_processes.send([first], signal.SIGINT)
    return _nothing


def _kill_program(name: str) -> End:
    program = node_processes.find_program(this_instance(), name)
    program.kill()
    return program.revive


def _cut(wire: Wire) -> End:
    wire.cut()
    return _nothing


def _silence(wire: Wire) -> End:
    wire.silence()
    return wire.restore


def _away(name: str) -> Callable[[Stage, str], End]:
    return lambda _stage, _name: _kill_program(name)


def _lose_node(_stage: Stage, _name: str) -> End:
    """Nobody looks after its pods any more, and they run on."""
    kubelet, containerd = (node_processes.find_program(this_instance(), name) for name in ("kubelet", "containerd"))
    kubelet.kill()
    containerd.kill()

    def come_back() -> None:
        containerd.revive()
        kubelet.revive()

    return come_back


def _fill_scratch(stage: Stage, name: str) -> End:
    """More than the volume may hold; the worker stands still, so that it is there when the kubelet looks."""
    (pod,) = stage.tenant.pods(stage.tenant.get(name)["metadata"]["uid"])
    folder = this_instance().folder / "kubelet" / "pods" / pod["metadata"]["uid"] / "volumes"
    (folder / "kubernetes.io~empty-dir" / "scratch" / "filling").write_bytes(bytes(2 * SCRATCH_MEBIBYTES << 20))
    return _stop_worker(stage, name)


SCRATCH_MEBIBYTES = 16
SMALL_SCRATCH = {"scratch": {"size": f"{SCRATCH_MEBIBYTES}Mi"}, "maxAttempts": 1}
ENDED_OR_STALLED = ("Stalled", "SourceUnreachable")

_TABLE: tuple[tuple[Trouble, Collection[Phase]], ...] = (
    (Trouble("worker killed", _kill_worker), LIVING),
    (Trouble("worker stopped for 6 s", _stop_worker, 6), (SCHEMA, DATA, INDEXES, VERIFY)),
    (Trouble("worker stopped for good", _stop_worker, None, ("Stalled",), SHORT_STALL), LIVING),
    (Trouble("operator killed, back after 3 s", _kill_operator, 3), tuple(Phase)),
    (Trouble("operator stopped for 10 s", _stop_operator, 10), tuple(Phase)),
    (Trouble("source server crashed", lambda stage, _: _crash(stage.tenant.source.server)), READING),
    (Trouble("source server restarted", lambda stage, _: _restart(stage.tenant.source.server)), (SCHEMA, DATA, VERIFY)),
    (
        Trouble("source server stopped for 10 s", lambda stage, _: _freeze(stage.tenant.source.server), 10),
        (PREFLIGHT, DATA, VERIFY),
    ),
    (Trouble("connection to the source cut", lambda stage, _: _cut(stage.source_wire)), READING),
    (Trouble("source silent for 20 s", lambda stage, _: _silence(stage.source_wire), 20), (SCHEMA, DATA, VERIFY)),
    (
        Trouble(
            "source silent for good", lambda stage, _: _silence(stage.source_wire), None, ENDED_OR_STALLED, SHORT_STALL
        ),
        (SCHEMA, DATA),
    ),
    (Trouble("target server crashed", lambda _stage, _name: _crash(EMBEDDED)), WRITING),
    (Trouble("target server restarted", lambda _stage, _name: _restart(EMBEDDED)), (DATA, VERIFY, SWAP)),
    (
        Trouble("target server stopped for 10 s", lambda _stage, _name: _freeze(EMBEDDED), 10),
        (GATE, DATA, INDEXES, SWAP, DROP),
    ),
    (Trouble("connections to the target cut", lambda stage, _: _cut(stage.target_wire)), WRITING),
    (
        Trouble("target silent for 15 s", lambda stage, _: _silence(stage.target_wire), 15),
        (GATE, SCHEMA, DATA, SWAP, DROP),
    ),
    (Trouble("kubelet killed, back after 10 s", _away("kubelet"), 10), (PREFLIGHT, DATA, VERIFY, DROP)),
    (Trouble("API server killed, back after 5 s", _away("kube-apiserver"), 5), tuple(Phase)),
    (Trouble("scratch full", _fill_scratch, None, ("ScratchFull",), SMALL_SCRATCH), (DATA,)),
    (Trouble("node lost for good", _lose_node, None, ("Stalled",), SHORT_STALL), (DATA, VERIFY)),
    (Trouble("etcd killed, back after 30 s", _away("etcd"), 30), (DATA, VERIFY, SWAP)),
)

CELLS = [(trouble, phase) for trouble, phases in _TABLE for phase in phases]
# Before and after these phases the engines do the same.
BY_DUMP = [
    (replace(trouble, spec={**trouble.spec, "engine": "dump"}), phase)
    for trouble, phase in CELLS
    if phase in (SCHEMA, DATA, INDEXES)
]
