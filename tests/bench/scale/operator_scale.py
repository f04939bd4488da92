"""Measures the operator with thousands of imports: its memory, its idle CPU, its start, and a new import's delay.

Three tenants share it: one has thousands of imports, one has hundreds that wait, and one is new.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
from kubernetes import config
from tests.bench.bench_tenant import bench_tenant
from tests.bench.missed_goals import REASONS
from tests.bench.report import Measure
from tests.bench.scale.many_imports import ImportFactory
from tests.bench.scale.operator_usage import ProcessUsage, read_usage
from tests.e2e.operator_process import Operator, stopped_deployment
from tests.e2e.postgres_pods import EMBEDDED
from tests.e2e.tenant import describe_trial_server
from tests.support import kubectl

from pgimport.kubernetes_client.api_client import KubernetesClient

PROJECT, WAITING_PROJECT, NEW_PROJECT = "bench-scale", "bench-scale-waiting", "bench-scale-new"
GOAL_MIB, GOAL_CORES, GOAL_START, GOAL_JOB = 250, 0.05, 10.0, 2.0
GOAL_SCRAPED_CORES, GOAL_SCRAPED_MIB = 0.01, 10.0
TIMEOUT_SECONDS = 300
SETTLE_SECONDS = 30.0  # until the operator counts as idle
SCRAPE_SECONDS = 15.0  # as Prometheus often does


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many imports there are, and how long the operator is observed."""

    ended: int
    running: int
    waiting: int
    new: int
    idle_seconds: float

    @property
    def method(self) -> str:
        return f"""\
{self.ended:,} imports have failed, each with three attempts, twelve checks and twenty skipped objects in its status.
{self.running} are running: each has its target, its Job, and a pod that is never scheduled. The operator runs as a
program on this host."""


FULL = Amount(ended=10_000, running=500, waiting=300, new=5, idle_seconds=120.0)
QUICK = Amount(ended=200, running=10, waiting=10, new=1, idle_seconds=10.0)


class OperatorProcess(Protocol):
    """The operator as a program that can be started once."""

    def start(self) -> None: ...

    @property
    def pid(self) -> int: ...

    @property
    def metrics_url(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    start_seconds: float
    idle_cores: float
    scraped_cores: float  # while nothing changes, but the metrics are read
    scraped_mib: float  # more memory after the metrics were read
    job_seconds: list[float]
    usage: ProcessUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """Three Projects: one has many imports, one has imports that wait, and one a ready preview for each new import."""

    many: ImportFactory
    waiting: ImportFactory
    new: ImportFactory
    source_secret: str  # of the new one


def measure_scale(amount: Amount) -> list[Measure]:
    """Creates the imports while no operator runs, starts one as a program, and removes everything.

    Programs on this host know no names of services, so the Projects name the server's address.
    """
    limits = {"maxConcurrentImports": amount.running}
    service = kubectl.get("service", "pgimport-server", EMBEDDED.namespace)
    server = describe_trial_server(service["spec"]["clusterIP"])
    with (
        bench_tenant(PROJECT, "empty", limits=limits, server=server),
        bench_tenant(WAITING_PROJECT, "empty", server=server),
        bench_tenant(NEW_PROJECT, "empty", server=server) as new,
    ):
        new.make_previews(*_list_new(amount))
        kubeconfig = Path(kubectl.environment()["KUBECONFIG"])
        cluster = KubernetesClient(config.new_client_from_config(str(kubeconfig)))
        tenants = Tenants(
            many=ImportFactory(cluster, PROJECT),
            waiting=ImportFactory(cluster, WAITING_PROJECT),
            new=ImportFactory(cluster, NEW_PROJECT),
            source_secret="empty",
        )
        with stopped_deployment(), tempfile.TemporaryDirectory() as folder:
            operator = Operator(kubeconfig, Path(folder) / "operator.log", PGIMPORT_SWEEP_SECONDS="10")
            try:
                figures = measure_operator(operator, tenants, amount)
            finally:
                operator.kill()
                tenants.many.remove()
                tenants.waiting.remove()
    return build_measures(figures, amount)


def measure_operator(operator: OperatorProcess, tenants: Tenants, amount: Amount) -> Figures:
    many = tenants.many
    many.create_ended(amount.ended)
    running = many.create_running(amount.running)
    many.change(running, suspend=False)  # a change without effect, but the status must show that it was observed
    started_at = time.monotonic()
    many.wait_until_current(running, operator.start, TIMEOUT_SECONDS)
    start_seconds = time.monotonic() - started_at
    many.make_old(running)
    time.sleep(SETTLE_SECONDS)
    idle_cores = _measure_cores(operator, amount.idle_seconds)
    before = read_usage(operator.pid)
    with _scraping(operator.metrics_url):
        scraped_cores = _measure_cores(operator, amount.idle_seconds)
    scraped_mib = read_usage(operator.pid).resident_mib - before.resident_mib
    waiting = [f"waiting-{number}" for number in range(amount.waiting)]
    tenants.waiting.wait_until_current(waiting, lambda: tenants.waiting.create_waiting(waiting), TIMEOUT_SECONDS)
    return Figures(
        start_seconds=start_seconds,
        idle_cores=idle_cores,
        scraped_cores=scraped_cores,
        scraped_mib=scraped_mib,
        job_seconds=[_time_job(tenants, name) for name in _list_new(amount)],
        usage=read_usage(operator.pid),
    )


def _list_new(amount: Amount) -> list[str]:
    return [f"new-{number}" for number in range(amount.new)]


def _measure_cores(operator: OperatorProcess, seconds: float) -> float:
    before, started_at = read_usage(operator.pid), time.monotonic()
    time.sleep(seconds)
    used = read_usage(operator.pid).cpu_seconds - before.cpu_seconds
    return used / (time.monotonic() - started_at)


@contextmanager
def _scraping(url: str) -> Iterator[None]:
    """Reads the metrics during the block, as often as Prometheus does."""
    ended = threading.Event()

    def scrape() -> None:
        while True:
            httpx.get(url, timeout=TIMEOUT_SECONDS).raise_for_status()
            if ended.wait(SCRAPE_SECONDS):
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _time_job(tenants: Tenants, name: str) -> float:
    """Creates an import into the ready preview of its name. Returns the seconds until its Job exists."""
    started_at = time.monotonic()
    tenants.new.create_import(name, tenants.source_secret, name)
    _wait_for(lambda: tenants.new.has_job(name), f"the Job of {name}")
    seconds = time.monotonic() - started_at
    tenants.new.change([name], cancel=True)
    return seconds


def _wait_for(condition: Callable[[], bool], description: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {TIMEOUT_SECONDS} s in vain for {description}")
        time.sleep(0.1)


def build_measures(figures: Figures, amount: Amount) -> list[Measure]:
    imports = f"{amount.ended:,} ended and {amount.running} running imports"
    waiting = f"It belongs to a new Project. {amount.waiting} imports of a third Project wait for a Secret each."
    return [
        Measure(
            name="operator_memory_mib",
            title=f"Peak memory of the operator with {imports}",
            value=round(figures.usage.peak_mib),
            goal=GOAL_MIB,
            unit="MiB",
            method=amount.method,
            rows=[("", "MiB"), ("at the end", f"{figures.usage.resident_mib:.0f}")],
        ),
        Measure(
            name="operator_idle_cores",
            title=f"Idle CPU of the operator with {imports}",
            value=round(figures.idle_cores, 3),
            goal=GOAL_CORES,
            unit="cores",
            method=f"CPU time in {amount.idle_seconds:.0f} s in which nothing changes. The statuses of the running"
            " imports are an hour old, because the operator looks less often at what has not changed for long.",
        ),
        Measure(
            name="operator_scraped_cores",
            title=f"CPU that metrics cost, with {imports}",
            value=round(max(figures.scraped_cores - figures.idle_cores, 0.0), 3),
            goal=GOAL_SCRAPED_CORES,
            unit="cores",
            method=f"The same as above, but the metrics are read every {SCRAPE_SECONDS:.0f} s. The figure is the"
            " difference.",
        ),
        Measure(
            name="operator_scraped_mib",
            title=f"Memory that reading the metrics costs, with {imports}",
            value=round(max(figures.scraped_mib, 0.0), 1),
            goal=GOAL_SCRAPED_MIB,
            unit="MiB",
            method="The resident memory after these reads, against before.",
        ),
        Measure(
            name="operator_start_seconds",
            title=f"Start of the operator with {imports}",
            value=round(figures.start_seconds, 2),
            goal=GOAL_START,
            unit="s",
            method="Each running import is changed while the operator is stopped. The time from its start until all"
            " statuses have the current generation.",
            reason=REASONS["operator_start_seconds"],
        ),
        Measure(
            name="new_import_to_job_seconds",
            title=f"From a new import to its Job, with {imports}",
            value=round(max(figures.job_seconds), 2),
            goal=GOAL_JOB,
            unit="s",
            method=f"The longest time of {amount.new} imports, one after the other. {waiting}",
            rows=[("", "s"), *((f"import {number}", f"{s:.2f}") for number, s in enumerate(figures.job_seconds, 1))],
        ),
    ]
