"""Provides what a fault cell runs in: a Project whose servers are behind proxies, and an operator on this host.

A cell is one import into a preview that holds other content, with a fault at one moment. Its result says whether every
promise was kept.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from tests.chaos.api_proxy import ApiProxy, run_api_proxy
from tests.chaos.cell_result import CellResult
from tests.chaos.content_watch import ContentWatch, DatabaseLogin, watch_content
from tests.chaos.database_proxies import DatabaseProxy, run_source_proxy, run_target_proxy
from tests.chaos.import_phases import Phase, PhaseTrigger
from tests.chaos.import_reader import UNREACHABLE, ImportReader
from tests.chaos.write_counter import WriteCounter
from tests.cluster.bare.pod_network import NODE_ADDRESS
from tests.e2e.operator_process import DEPLOYMENT, Operator
from tests.e2e.postgres_pods import ADMIN_SECRET, EXPORTER, SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import (
    Tenant,
    is_over,
    read_secret,
    reason_of,
    remove_tenant,
    start_project,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import KubectlError, Manifest
from tests.support.postgres import retry_while_refused

PROJECT = "chaos"
DATABASE = "busy"
END_SECONDS = 150
CLEANUP_SECONDS = 90  # a Project's sweep, which comes every minute, drops what a lost connection has left
RECOVERY_SECONDS = 30
POLL_SECONDS = 0.3
MAX_PROBLEM_LENGTH = 600  # characters

EndFault = Callable[[], None]


@dataclass(frozen=True)
class PhaseFault:
    """A fault, how long it lasts, and how the import may end."""

    name: str
    begin: Callable[["ChaosEnvironment", str], EndFault]  # takes the import's name, returns what ends the fault
    seconds: float | None = 0.0  # None: until the import is over
    expected: Collection[str] = ("Completed",)  # reasons
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChaosEnvironment:
    """Everything that a cell uses or disturbs."""

    tenant: Tenant
    write_counter: WriteCounter
    phase_trigger: PhaseTrigger
    operator: Operator
    api: ApiProxy
    source_proxy: DatabaseProxy
    target_proxy: DatabaseProxy
    import_reader: ImportReader
    server: str  # address of the target server, not of its proxy
    source: DatabaseLogin

    def login(self, preview: str) -> DatabaseLogin:
        return DatabaseLogin.from_secret(self.tenant.connection(preview), self.server)

    def play(self, name: str, fault: PhaseFault, phase: Phase) -> CellResult:
        """Run an import with a fault in one phase. The preview of this name must exist."""
        pending_ends: list[EndFault] = []
        timers: list[threading.Timer] = []

        def begin_fault() -> None:
            pending_ends.append(fault.begin(self, name))
            if fault.seconds is not None:
                timers.append(threading.Timer(fault.seconds, lambda: pending_ends.pop()()))
                timers[-1].start()

        def end_fault() -> None:
            for timer in timers:
                timer.join()
            while pending_ends:
                pending_ends.pop()()

        self.phase_trigger.arm(phase, begin_fault)
        try:
            cell = self.run_import(name, fault.name, phase.value, fault.expected, end_fault, **fault.spec)
        finally:
            self.phase_trigger.disarm()
            end_fault()
        if cell.kept and self.phase_trigger.reached is not phase:
            problem = f"the import never reached the phase {phase}, so there was no fault"
            return CellResult(cell.fault, cell.where, False, cell.seconds, cell.state, cell.target, problem)
        return cell

    def run_import(
        self,
        name: str,
        fault: str,
        where: str,
        expected: Collection[str] = ("Completed",),
        end_fault: Callable[[], None] = lambda: None,
        **spec: Any,
    ) -> CellResult:
        """Start the import, wait for its end, call `end_fault`, and check every promise."""
        login = self.login(name)
        old, new = login.read_content(), {self.source.read_content()}
        started_at = time.monotonic()
        with watch_content(lambda: login) as watch:
            self.tenant.start(name, self.source.dbname, name, **{"recreate": True, **spec})
            body, problem = self._await_end(name, started_at + END_SECONDS)
            seconds = time.monotonic() - started_at
            end_fault()
            leftover_problem = self.await_cleanup(name)
            if not self.operator.lives:
                leftover_problem = leftover_problem or "the operator ended by itself"
                self.operator.ensure()
        # After a crash, the source's sequences continue beyond the last value that was written to disk. The import can
        # be over before its source has recovered, because it releases it early.
        new.add(retry_while_refused(self.source.read_content, RECOVERY_SECONDS))
        target, target_problem = self._check_target(body, watch, login, old, new)
        end_problem = _check_end(body, expected, spec.get("maxAttempts", 3))
        problem = problem or target_problem or end_problem or leftover_problem
        state = "completed" if state_of(body) == "completed" else f"{state_of(body)}, {reason_of(body) or ''}"
        return CellResult(fault, where, not problem, seconds, state, target, problem)

    def _await_end(self, name: str, deadline: float) -> tuple[Manifest, str]:
        """Return the import, and a problem if it has not ended in time."""
        body: Manifest = {}
        while True:
            try:
                body = self.import_reader.get_import(self.tenant.name, name)
            except UNREACHABLE as error:
                observed = str(error)
            else:
                if is_over(body):
                    return body, ""
                observed = str(body.get("status", {}).get("conditions"))
            if time.monotonic() > deadline:
                return body, f"the import is not over after {END_SECONDS} s: {observed}"[:MAX_PROBLEM_LENGTH]
            time.sleep(POLL_SECONDS)

    def await_cleanup(self, name: str, preview: str | None = None) -> str:
        """Wait until nothing of the import is left; return a problem, or an empty text. Some pods end slowly.

        `preview`: name of its target, if it is not the import's name.
        """
        deadline = time.monotonic() + CLEANUP_SECONDS
        while True:
            try:
                body = self.tenant.get(name)
                leftovers = self.tenant.leftovers(body)
                if not leftovers and "activeImport" in self.tenant.preview(preview or name)["status"]:
                    leftovers = ["the claim on its target"]
            except KubectlError as error:
                leftovers = [str(error)]
            if not leftovers:
                return ""
            if time.monotonic() > deadline:
                return f"left behind: {', '.join(leftovers)}"[:MAX_PROBLEM_LENGTH]
            time.sleep(POLL_SECONDS)

    def _check_target(
        self, body: Manifest, watch: ContentWatch, login: DatabaseLogin, old: str, new: Collection[str]
    ) -> tuple[str, str]:
        """Return whether the target holds the old or the new content, and a problem, or an empty text."""
        try:
            last = login.read_content()
        except psycopg.Error as error:
            return "?", f"the target cannot be opened: {error}"
        names = {content: "new" for content in new} | {old: "old"}
        if any(content not in names for content in (*watch.contents, last)):
            return "neither", "the target held something between old and new"
        history = [names[content] for content in watch.contents]
        if history != sorted(history, reverse=True):
            return names[last], "the target went back from new to old"
        expected = "new" if state_of(body) == "completed" else "old"
        return names[last], "" if names[last] == expected else f"{state_of(body)}, but the target is {names[last]}"


def _check_end(body: Manifest, expected: Collection[str], max_attempts: int) -> str:
    """Return a problem with the reason or the number of attempts, or an empty text."""
    reason, status = reason_of(body) or "", body.get("status", {})
    if reason not in expected:
        return f"the import ended as {reason}: {status.get('error')}"
    attempts = status.get("attempts", 0)
    return f"{attempts} attempts of at most {max_attempts}" if attempts > max_attempts else ""


@contextmanager
def open_chaos_environment(source: Source, folder: Path, **settings: str) -> Iterator[ChaosEnvironment]:
    """Replace the chart's operator by one on this host, until the end of the block."""
    write_counter, phase_trigger = WriteCounter(), PhaseTrigger()
    admin = read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)["user"]
    server = read_cluster_ip("pgimport-server", SYSTEM_NAMESPACE)
    source_address = read_cluster_ip("source", source.server.namespace)
    with (
        run_target_proxy(write_counter, phase_trigger, NODE_ADDRESS, (server, 5432), admin) as target_proxy,
        run_source_proxy(phase_trigger, NODE_ADDRESS, (source_address, 5432)) as source_proxy,
        run_api_proxy(write_counter, folder) as (api, kubeconfig),
    ):
        clear()
        scale_operator(0)
        operator = Operator(kubeconfig, folder / "operator.log", **settings)
        operator.start()
        try:
            yield ChaosEnvironment(
                tenant=_make_tenant(source, source_proxy, target_proxy),
                write_counter=write_counter,
                phase_trigger=phase_trigger,
                operator=operator,
                api=api,
                source_proxy=source_proxy,
                target_proxy=target_proxy,
                import_reader=ImportReader(),
                server=server,
                source=DatabaseLogin(source_address, 5432, DATABASE, EXPORTER, source.password),
            )
        finally:
            write_counter.end()
            phase_trigger.disarm()
            operator.ensure()
            clear()
            operator.kill()
            scale_operator(1)


def read_cluster_ip(service: str, namespace: str) -> str:
    """Read the address of a Service, which this host can reach."""
    return str(kubectl.get("service", service, namespace)["spec"]["clusterIP"])


def _make_tenant(source: Source, source_proxy: DatabaseProxy, target_proxy: DatabaseProxy) -> Tenant:
    spec = {
        "organizationID": PROJECT,
        "namespace": PROJECT,
        "server": {
            "clusterID": "embedded",
            "host": target_proxy.address,
            "port": target_proxy.port,
            "sslmode": "disable",
            "adminSecretRef": {"name": ADMIN_SECRET},
        },
        "sources": {"allowedCIDRs": [f"{source_proxy.address}/32"]},
        "limits": {"maxConcurrentImports": 50},
    }
    start_project(PROJECT, spec)
    tenant = Tenant(PROJECT, source)
    url = source.url(DATABASE, host=source_proxy.address).replace(":5432/", f":{source_proxy.port}/")
    tenant.make_secrets({DATABASE: url})
    return tenant


def clear() -> None:
    """Remove the Project and its namespace."""
    remove_tenant(PROJECT)
    kubectl.delete("namespace", PROJECT)


def scale_operator(replicas: int) -> None:
    """Scale the chart's operator and wait until it is done."""
    deployment = f"deployment/{DEPLOYMENT}"
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", deployment, f"--replicas={replicas}")
    kubectl.run("-n", SYSTEM_NAMESPACE, "rollout", "status", deployment, "--timeout=360s")
