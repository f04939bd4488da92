"""Defines the faults that begin in a phase of an import: something is killed, stopped, cut, silenced or filled."""

import signal
from collections.abc import Callable, Collection
from dataclasses import replace

from tests.chaos.chaos_environment import ChaosEnvironment, EndFault, PhaseFault
from tests.chaos.database_proxies import DatabaseProxy
from tests.chaos.import_phases import Phase
from tests.chaos.node_processes import (
    find_backend,
    find_pod_processes,
    find_program,
    is_postmaster,
    send_signal,
)
from tests.cluster.instance import this_instance
from tests.e2e.postgres_pods import EMBEDDED, Postgres
from tests.support import kubectl

PREFLIGHT, GATE, READ, SCHEMA, DATA, INDEXES, VERIFY, SWAP, DROP = Phase
ALL_PHASES = (PREFLIGHT, GATE, SCHEMA, DATA, INDEXES, VERIFY, SWAP, DROP)
POD_PHASES = (PREFLIGHT, GATE, SCHEMA, DATA, INDEXES, VERIFY)
SOURCE_PHASES = (PREFLIGHT, SCHEMA, DATA, INDEXES, VERIFY)  # a connection to the source is open
TARGET_PHASES = (GATE, SCHEMA, DATA, INDEXES, VERIFY, SWAP, DROP)  # a connection to the target server is open

SHORT_STALL = {"stallTimeout": "15s"}
SCRATCH_MEBIBYTES = 16
SMALL_SCRATCH = {"scratch": {"size": f"{SCRATCH_MEBIBYTES}Mi"}, "maxAttempts": 1}
STALLED_OR_UNREACHABLE = ("Stalled", "SourceUnreachable")


def _no_end() -> None:
    """Do nothing: the fault needs no end."""


def _find_worker(environment: ChaosEnvironment, name: str) -> list[int]:
    uid = environment.tenant.get(name)["metadata"]["uid"]
    return [pid for pod in environment.tenant.pods(uid) for pid in find_pod_processes(pod["metadata"]["uid"])]


def _kill_worker(environment: ChaosEnvironment, name: str) -> EndFault:
    send_signal(_find_worker(environment, name), signal.SIGKILL)
    return _no_end


def _stop_worker(environment: ChaosEnvironment, name: str) -> EndFault:
    pids = _find_worker(environment, name)
    send_signal(pids, signal.SIGSTOP)
    return lambda: send_signal(pids, signal.SIGCONT)


def _kill_operator(environment: ChaosEnvironment, _: str) -> EndFault:
    environment.operator.kill()
    return environment.operator.ensure


def _stop_operator(environment: ChaosEnvironment, _: str) -> EndFault:
    environment.operator.pause()
    return environment.operator.resume


def _read_pod_uid(server: Postgres) -> str:
    return str(kubectl.get("pod", server.pod, server.namespace)["metadata"]["uid"])


def _crash_server(server: Postgres) -> EndFault:
    """Kill one process of the server: it then ends all sessions and recovers from its log, as after a power cut."""
    send_signal([find_backend(_read_pod_uid(server), "checkpointer")], signal.SIGKILL)
    return _no_end


def _stop_server(server: Postgres) -> EndFault:
    pids = find_pod_processes(_read_pod_uid(server))
    send_signal(pids, signal.SIGSTOP)
    return lambda: send_signal(pids, signal.SIGCONT)


def _restart_server(server: Postgres) -> EndFault:
    """Shut the server down in fast mode: sessions end with 57P01, and new ones are refused until it is back."""
    (postmaster,) = [pid for pid in find_pod_processes(_read_pod_uid(server)) if is_postmaster(pid)]
    send_signal([postmaster], signal.SIGINT)
    return _no_end


def _cut(proxy: DatabaseProxy) -> EndFault:
    proxy.cut()
    return _no_end


def _silence(proxy: DatabaseProxy) -> EndFault:
    proxy.silence()
    return proxy.restore


def _kill_node_program(name: str) -> Callable[[ChaosEnvironment, str], EndFault]:
    def begin(_environment: ChaosEnvironment, _name: str) -> EndFault:
        program = find_program(this_instance(), name)
        program.kill()
        return program.revive

    return begin


def _lose_node(_environment: ChaosEnvironment, _name: str) -> EndFault:
    """Kill kubelet and containerd: the pods run on, and nothing manages them."""
    kubelet, containerd = (find_program(this_instance(), name) for name in ("kubelet", "containerd"))
    kubelet.kill()
    containerd.kill()

    def revive() -> None:
        containerd.revive()
        kubelet.revive()

    return revive


def _fill_scratch(environment: ChaosEnvironment, name: str) -> EndFault:
    """Write more than the volume's limit and stop the worker, so that it still exists when the kubelet checks."""
    (pod,) = environment.tenant.pods(environment.tenant.get(name)["metadata"]["uid"])
    folder = this_instance().folder / "kubelet" / "pods" / pod["metadata"]["uid"] / "volumes"
    (folder / "kubernetes.io~empty-dir" / "scratch" / "filling").write_bytes(bytes(2 * SCRATCH_MEBIBYTES << 20))
    return _stop_worker(environment, name)


def _at_source(act: Callable[[Postgres], EndFault]) -> Callable[[ChaosEnvironment, str], EndFault]:
    return lambda environment, _name: act(environment.tenant.source.server)


def _at_target(act: Callable[[Postgres], EndFault]) -> Callable[[ChaosEnvironment, str], EndFault]:
    return lambda _environment, _name: act(EMBEDDED)


def _on_source_proxy(act: Callable[[DatabaseProxy], EndFault]) -> Callable[[ChaosEnvironment, str], EndFault]:
    return lambda environment, _name: act(environment.source_proxy)


def _on_target_proxy(act: Callable[[DatabaseProxy], EndFault]) -> Callable[[ChaosEnvironment, str], EndFault]:
    return lambda environment, _name: act(environment.target_proxy)


_SOURCE_FAULTS: tuple[tuple[PhaseFault, Collection[Phase]], ...] = (
    (PhaseFault("source server crashed", _at_source(_crash_server)), SOURCE_PHASES),
    (PhaseFault("source server restarted", _at_source(_restart_server)), (SCHEMA, DATA, VERIFY)),
    (PhaseFault("source server stopped for 10 s", _at_source(_stop_server), 10), (PREFLIGHT, DATA, VERIFY)),
    (PhaseFault("connection to the source cut", _on_source_proxy(_cut)), SOURCE_PHASES),
    (PhaseFault("source silent for 20 s", _on_source_proxy(_silence), 20), (SCHEMA, DATA, VERIFY)),
    (
        PhaseFault("source silent for good", _on_source_proxy(_silence), None, STALLED_OR_UNREACHABLE, SHORT_STALL),
        (SCHEMA, DATA),
    ),
    # Longer than a session survives: the attempt ends, and the next one completes.
    (PhaseFault("source silent for 75 s", _on_source_proxy(_silence), 75), (DATA,)),
)
_OTHER_FAULTS: tuple[tuple[PhaseFault, Collection[Phase]], ...] = (
    (PhaseFault("worker killed", _kill_worker), POD_PHASES),
    (PhaseFault("worker stopped for 6 s", _stop_worker, 6), (SCHEMA, DATA, INDEXES, VERIFY)),
    (PhaseFault("worker stopped for good", _stop_worker, None, ("Stalled",), SHORT_STALL), POD_PHASES),
    (PhaseFault("operator killed, back after 3 s", _kill_operator, 3), ALL_PHASES),
    (PhaseFault("operator stopped for 10 s", _stop_operator, 10), ALL_PHASES),
    (PhaseFault("target silent for 75 s, while rows are sent", _on_target_proxy(_silence), 75), (DATA,)),
    (PhaseFault("target server crashed", _at_target(_crash_server)), TARGET_PHASES),
    (PhaseFault("target server restarted", _at_target(_restart_server)), (DATA, VERIFY, SWAP)),
    (PhaseFault("target server stopped for 10 s", _at_target(_stop_server), 10), (GATE, DATA, INDEXES, SWAP, DROP)),
    (PhaseFault("connections to the target cut", _on_target_proxy(_cut)), TARGET_PHASES),
    (PhaseFault("target silent for 15 s", _on_target_proxy(_silence), 15), (GATE, SCHEMA, DATA, SWAP, DROP)),
    (PhaseFault("kubelet killed, back after 10 s", _kill_node_program("kubelet"), 10), (PREFLIGHT, DATA, VERIFY, DROP)),
    (PhaseFault("API server killed, back after 5 s", _kill_node_program("kube-apiserver"), 5), ALL_PHASES),
    (PhaseFault("scratch full", _fill_scratch, None, ("ScratchFull",), SMALL_SCRATCH), (DATA,)),
    (PhaseFault("node lost for good", _lose_node, None, ("Stalled",), SHORT_STALL), (DATA, VERIFY)),
    (PhaseFault("etcd killed, back after 30 s", _kill_node_program("etcd"), 30), (DATA, VERIFY, SWAP)),
)

CELLS = [(fault, phase) for fault, phases in (*_SOURCE_FAULTS, *_OTHER_FAULTS) for phase in phases]
# The engines differ only in these phases. pg_dump has read the source before the target gets the schema.
DUMP_CELLS = [
    (replace(fault, spec={**fault.spec, "engine": "dump"}), phase)
    for fault, phase in (
        *((fault, READ) for fault, phases in _SOURCE_FAULTS if DATA in phases),
        *((fault, phase) for fault, phases in _OTHER_FAULTS for phase in phases if phase in (SCHEMA, DATA, INDEXES)),
    )
]
