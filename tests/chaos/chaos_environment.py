"""Where the stories are played: a Project whose servers are reached through wires, and an operator on this host.

A story is one import into a preview that holds something else, with trouble at one moment of it; its cell says whether
every promise was kept.
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
from tests.chaos.cell_result import Cell
from tests.chaos.content_watch import Login, Watch, watching
from tests.chaos.database_proxies import Wire, run_source_wire, run_target_wire
from tests.chaos.import_phases import Moments, Phase
from tests.chaos.import_reader import AWAY, Looks
from tests.chaos.write_counter import Effects
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

PROJECT = "chaos"
DATABASE = "busy"
STORY_SECONDS = 150
LEFTOVER_SECONDS = 30
POLL_SECONDS = 0.3

End = Callable[[], None]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, for how long, and what may become of the import."""

    name: str
    begin: Callable[["Stage", str], End]  # the import's name in; what ends the trouble out
    seconds: float | None = 0.0  # None: until the import is over
    expected: Collection[str] = ("Completed",)  # reasons
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """All that a story may touch."""

    tenant: Tenant
    effects: Effects
    moments: Moments
    operator: Operator
    api: ApiProxy
    source_wire: Wire
    target_wire: Wire
    looks: Looks
    server: str  # address of the target server, behind its wire
    source: Login

    def login(self, preview: str) -> Login:
        return Login.of(self.tenant.connection(preview), self.server)

    def play(self, name: str, trouble: Trouble, phase: Phase) -> Cell:
        """The preview of this name is there already."""
        ends: list[End] = []
        timers: list[threading.Timer] = []

        def begin() -> None:
            ends.append(trouble.begin(self, name))
            if trouble.seconds is not None:
                timers.append(threading.Timer(trouble.seconds, lambda: ends.pop()()))
                timers[-1].start()

        def over() -> None:
            for timer in timers:
                timer.join()
            while ends:
                ends.pop()()

        self.moments.await_phase(phase, begin)
        try:
            cell = self.tell(name, trouble.name, phase.value, trouble.expected, over, **trouble.spec)
        finally:
            self.moments.forget()
            over()
        if cell.kept and self.moments.came is not phase:
            return Cell(cell.fault, cell.place, False, cell.seconds, cell.state, cell.target, f"{phase} never came")
        return cell

    def tell(
        self,
        name: str,
        fault: str,
        place: str,
        expected: Collection[str] = ("Completed",),
        over: Callable[[], None] = lambda: None,
        **spec: Any,
    ) -> Cell:
        """Start the import, wait for its end, call `over`, and judge."""
        login = self.login(name)
        old, new = login.read_content(), {self.source.read_content()}
        begun = time.monotonic()
        with watching(lambda: login) as watch:
            self.tenant.start(name, self.source.dbname, name, **{"recreate": True, **spec})
            body, said = self._await(name, begun + STORY_SECONDS)
            seconds = time.monotonic() - begun
            over()
            left = self._await_clean(name)
            if not self.operator.lives:
                left = left or "the operator ended by itself"
                self.operator.ensure()
        # A server that crashed goes on with its sequences beyond what it had written down.
        new.add(self.source.read_content())
        target, broken = self._judge_target(body, watch, login, old, new)
        reason = reason_of(body) or ""
        wrong = f"ended as {reason}: {body.get('status', {}).get('error')}" if reason not in expected else ""
        attempts, most = body.get("status", {}).get("attempts", 0), spec.get("maxAttempts", 3)
        wrong = wrong or (f"{attempts} attempts of {most}" if attempts > most else "")
        said = said or broken or wrong or left
        state = f"{state_of(body)}, {reason}" if state_of(body) != "completed" else "completed"
        return Cell(fault, place, not said, seconds, state, target, said)

    def _await(self, name: str, deadline: float) -> tuple[Manifest, str]:
        body: Manifest = {}
        while True:
            try:
                body = self.looks.get_import(self.tenant.name, name)
            except AWAY as away:
                said = str(away)
            else:
                if is_over(body):
                    return body, ""
                said = str(body.get("status", {}).get("conditions"))
            if time.monotonic() > deadline:
                return body, f"not over after {STORY_SECONDS} s: {said}"[:600]
            time.sleep(POLL_SECONDS)

    def _await_clean(self, name: str) -> str:
        """Empty once nothing of the import is left; after trouble a pod may need a moment."""
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while True:
            try:
                body = self.tenant.get(name)
                left = self.tenant.leftovers(body)
                if not left and "activeImport" in self.tenant.preview(name)["status"]:
                    left = ["it holds its target still"]
            except KubectlError as away:
                left = [str(away)]
            if not left or time.monotonic() > deadline:
                return f"left behind: {', '.join(left)}"[:600] if left else ""
            time.sleep(POLL_SECONDS)

    def _judge_target(
        self, body: Manifest, watch: Watch, login: Login, old: str, new: Collection[str]
    ) -> tuple[str, str]:
        """What it holds, and what is wrong with that or with what it held meanwhile."""
        try:
            last = login.read_content()
        except psycopg.Error as error:
            return "?", f"the target cannot be opened: {error}"
        known = {one: "new" for one in new} | {old: "old"}
        if any(one not in known for one in (*watch.seen, last)):
            return "neither", "the target held something between old and new"
        seen = [known[one] for one in watch.seen]
        if seen != sorted(seen, reverse=True):
            return known[last], "the target went back from new to old"
        wanted = "new" if state_of(body) == "completed" else "old"
        return known[last], "" if known[last] == wanted else f"{state_of(body)}, but the target is {known[last]}"


@contextmanager
def open_stage(source: Source, folder: Path, **settings: str) -> Iterator[Stage]:
    """The chart's own operator rests meanwhile."""
    effects, moments = Effects(), Moments()
    admin = read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)["user"]
    server = address_of("pgimport-server", SYSTEM_NAMESPACE)
    here = address_of("source", source.server.namespace)
    with (
        run_target_wire(effects, moments, NODE_ADDRESS, (server, 5432), admin) as target_wire,
        run_source_wire(moments, NODE_ADDRESS, (here, 5432)) as source_wire,
        run_api_proxy(effects, folder) as (api, kubeconfig),
    ):
        clear()
        scale(0)
        operator = Operator(kubeconfig, folder / "operator.log", **settings)
        operator.start()
        try:
            tenant = _make_tenant(source, source_wire, target_wire)
            origin = Login(here, 5432, DATABASE, EXPORTER, source.password)
            yield Stage(tenant, effects, moments, operator, api, source_wire, target_wire, Looks(), server, origin)
        finally:
            effects.end()
            moments.forget()
            operator.ensure()
            clear()
            operator.kill()
            scale(1)


def address_of(service: str, namespace: str) -> str:
    """Of a Service, as this host reaches it."""
    return str(kubectl.get("service", service, namespace)["spec"]["clusterIP"])


def _make_tenant(source: Source, source_wire: Wire, target_wire: Wire) -> Tenant:
    spec = {
        "organizationID": PROJECT,
        "namespace": PROJECT,
        "server": {
            "clusterID": "embedded",
            "host": target_wire.address,
            "port": target_wire.port,
            "sslmode": "disable",
            "adminSecretRef": {"name": ADMIN_SECRET},
        },
        "sources": {"allowedCIDRs": [f"{source_wire.address}/32"]},
        "limits": {"maxConcurrentImports": 50},
    }
    start_project(PROJECT, spec)
    tenant = Tenant(PROJECT, source)
    url = source.url(DATABASE, host=source_wire.address).replace(":5432/", f":{source_wire.port}/")
    tenant.make_secrets({DATABASE: url})
    return tenant


def clear() -> None:
    remove_tenant(PROJECT)
    kubectl.delete("namespace", PROJECT)


def scale(replicas: int) -> None:
    """Of the chart's own operator."""
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", f"--replicas={replicas}")
    words = ("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=90s")
    kubectl.run("-n", SYSTEM_NAMESPACE, *words, seconds=120)
