"""Measures the HTTP API: accepted imports compared with direct writes, reads with many jobs, and memory."""

import asyncio
import random
import re
import secrets
import ssl
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes import config
from tests.bench.http_load import LoadResult, send_at_full_speed, send_at_rate
from tests.bench.missed_goals import REASONS
from tests.bench.report import Measure
from tests.e2e.api_calls import make_key
from tests.e2e.api_process import ApiProcess, run_api
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import IMPORTS, remove_tenant, start_project
from tests.support import kubectl

from pgimport.api.import_models import ImportRequest
from pgimport.api.object_names import ObjectName
from pgimport.api.request_origin import RequestOrigin
from pgimport.api.resource_manifests import build_import, build_source_secret
from pgimport.model.names import API_VERSION

PROJECT = "bench-api"
CLIENTS = 16
READS_PER_SECOND = 200
GOAL_RATIO, GOAL_READ_MS, GOAL_MEMORY_MIB = 0.5, 10.0, 250.0
SOURCE = "postgresql://reader:hush-hush@93.184.215.14:5432/shop"
REQUEST = ImportRequest(source_url=SOURCE, dry_run=True)
OPERATOR = "deployment/pgimport-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured."""

    rounds: int
    writes: int  # per round, through the API and directly
    jobs: int
    read_seconds: int

    @property
    def method_of_writes(self) -> str:
        return f"""\
{self.rounds} rounds of {self.writes} imports through the API and {self.writes} written to the API server directly, in
turns, after one of each that is not counted; {CLIENTS} concurrent clients. Both write the same two objects for an
import: the resource, and the Secret with the source's URL that it owns. The API runs as a program on this host. The
operator does not run."""

    @property
    def method_of_reads(self) -> str:
        return f"""\
`GET /v1/jobs/{{id}}` of {self.jobs:,} jobs in random order, {READS_PER_SECOND} times a second for
{self.read_seconds} s, from the API as a program on this host. A request's time counts from when it was due, not from
when it was sent."""

    @property
    def method_of_memory(self) -> str:
        return f"""\
The peak resident memory of the API's process (VmHWM), with {self.jobs:,} jobs, after the writes and reads above."""


FULL = Amount(rounds=5, writes=200, jobs=10_000, read_seconds=30)
QUICK = Amount(rounds=1, writes=40, jobs=400, read_seconds=5)


@dataclass(frozen=True)
class ApiBench:
    """Both servers and the credentials for each."""

    program: ApiProcess
    session: aiohttp.ClientSession
    key: str = field(repr=False)
    server: str
    headers: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)

    async def write_by_api(self, _: int) -> None:
        body = {"source_url": SOURCE, "dry_run": True}
        url = f"{self.program.url}/v1/projects/{PROJECT}/imports"
        async with self.session.post(url, json=body, headers={"X-API-Key": self.key}) as response:
            assert response.status == 202, await response.text()
            await response.read()

    async def write_directly(self, _: int) -> None:
        owner = await self.write_import("direct_result-" + secrets.token_hex(10))
        await self._post(f"/api/v1/namespaces/{PROJECT}/secrets", build_source_secret(owner, SOURCE))

    async def write_import(self, name: str) -> dict[str, Any]:
        origin = RequestOrigin(request_id=secrets.token_hex(16), caller="bench")
        body = build_import(ObjectName(project=PROJECT, namespace=PROJECT, name=name), REQUEST, None, origin)
        return await self._post(f"/apis/{API_VERSION}/namespaces/{PROJECT}/postgresimports", body)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self.session.post(self.server + path, json=body, headers=self.headers, ssl=self.tls) as response:
            assert response.status == 201, await response.text()
            created: dict[str, Any] = await response.json()
            return created

    async def read_job(self, number: int) -> None:
        url = f"{self.program.url}/v1/jobs/{PROJECT}.{job_name(number)}"
        async with self.session.get(url, headers={"X-API-Key": self.key}) as response:
            assert response.status == 200, await response.text()
            await response.read()


def job_name(number: int) -> str:
    return f"job-{number:05}"


@contextmanager
def _project_without_operator() -> Iterator[None]:
    """Create a Project, wait until it is ready, then stop the operator: only the API is measured."""
    _clear()
    spec = {
        "organizationID": PROJECT,
        "namespace": PROJECT,
        "server": {
            "clusterID": "embedded",
            "host": f"pgimport-server.{SYSTEM_NAMESPACE}.svc",
            "sslmode": "disable",
            "adminSecretRef": {"name": "pgimport-server-admin"},
        },
    }
    start_project(PROJECT, spec)
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", OPERATOR, "--replicas=0")
    kubectl.run("-n", SYSTEM_NAMESPACE, "wait", "pod", "--for=delete", "-l", "app.kubernetes.io/component=operator")
    try:
        yield
    finally:
        _clear()


def _clear() -> None:
    if kubectl.find("namespace", PROJECT) is not None:
        kubectl.run("delete", IMPORTS, "--all", "-n", PROJECT, "--wait=false", seconds=600)
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", OPERATOR, "--replicas=1")
    kubectl.run("-n", SYSTEM_NAMESPACE, "rollout", "status", OPERATOR, "--timeout=120s", seconds=150)
    remove_tenant(PROJECT)
    kubectl.delete("namespace", PROJECT)


def _memory_mib(program: ApiProcess) -> float:
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024


def _connect(program: ApiProcess, session: aiohttp.ClientSession) -> ApiBench:
    configuration = config.new_client_from_config(kubectl.environment()["KUBECONFIG"]).configuration
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    headers = (
        {"Authorization": configuration.api_key["authorization"]} if "authorization" in configuration.api_key else {}
    )
    key = make_key("--organization", PROJECT, "--name", "bench")
    return ApiBench(program, session, key, configuration.host, headers, tls)


def measure_api(amount: Amount) -> list[Measure]:
    """Measure writes while there are few jobs, then create many jobs and measure reads and memory."""
    with (
        _project_without_operator(),
        tempfile.TemporaryDirectory() as folder,
        run_api(Path(folder), kubectl.environment()["KUBECONFIG"]) as program,
    ):
        return asyncio.run(_measure(program, amount))


async def _measure(program: ApiProcess, amount: Amount) -> list[Measure]:
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limits) as session:
        bench = _connect(program, session)
        rounds = await _measure_writes(bench, amount)
        print(f"creating {amount.jobs} jobs", flush=True)
        written_imports = amount.rounds * amount.writes * 2

        async def create_job(number: int) -> None:
            await bench.write_import(job_name(number))

        await send_at_full_speed(create_job, range(amount.jobs), CLIENTS)
        await bench.read_job(amount.jobs - 1)  # the API knows the last job
        print(f"reading {READS_PER_SECOND} jobs a second", flush=True)
        read_jobs = random.Random(5).choices(range(amount.jobs), k=READS_PER_SECOND * amount.read_seconds)  # noqa: S311
        await send_at_rate(bench.read_job, read_jobs[:READS_PER_SECOND], READS_PER_SECOND)
        reads = await send_at_rate(bench.read_job, read_jobs, READS_PER_SECOND)
        return [
            _build_write_measure(rounds, amount),
            _build_read_measure(reads, written_imports, amount),
            _build_memory_measure(program, amount),
        ]


async def _measure_writes(bench: ApiBench, amount: Amount) -> list[tuple[LoadResult, LoadResult]]:
    """Write through the API and directly, round by round."""
    rounds = []
    for number in range(amount.rounds + 1):
        api_result = await send_at_full_speed(bench.write_by_api, range(amount.writes), CLIENTS)
        direct_result = await send_at_full_speed(bench.write_directly, range(amount.writes), CLIENTS)
        rounds.append((api_result, direct_result))
        rates = f"{api_result.rate:.0f} imports/s through the API, {direct_result.rate:.0f} written directly"
        print(f"round {number} of {amount.rounds}: {rates}", flush=True)
    return rounds[1:]


def _build_write_measure(rounds: list[tuple[LoadResult, LoadResult]], amount: Amount) -> Measure:
    def row(title: str, results: list[LoadResult]) -> tuple[str, ...]:
        rates = [result.rate for result in results]
        p50, p99 = (1000 * statistics.median(result.quantile(part) for result in results) for part in (0.5, 0.99))
        return (
            title,
            f"{statistics.median(rates):.0f}",
            f"{min(rates):.0f}",
            f"{max(rates):.0f}",
            f"{p50:.0f}",
            f"{p99:.0f}",
        )

    api_results, direct_results = [api for api, _ in rounds], [direct for _, direct in rounds]
    return Measure(
        name="api_import_rate_ratio",
        title="Accepted imports a second, against direct writes of the same objects",
        value=round(statistics.median(api.rate / direct.rate for api, direct in rounds), 2),
        goal=GOAL_RATIO,
        at_least=True,
        unit="×",
        method=amount.method_of_writes,
        reason=REASONS["api_import_rate_ratio"],
        rows=[
            ("", "imports/s, median", "min", "max", "p50, ms", "p99, ms"),
            row("through the API", api_results),
            row("to the API server directly", direct_results),
        ],
    )


def _build_read_measure(result: LoadResult, written_imports: int, amount: Amount) -> Measure:
    quantiles = [f"{1000 * result.quantile(part):.1f}" for part in (0.5, 0.9, 0.99, 0.999, 1)]
    return Measure(
        name="api_job_read_p99_milliseconds",
        title="Reading a job",
        value=round(1000 * result.quantile(0.99), 2),
        goal=GOAL_READ_MS,
        unit="ms",
        method=amount.method_of_reads,
        rows=[
            ("jobs in memory", "reads", "p50, ms", "p90", "p99", "p99.9", "max"),
            (f"{written_imports + amount.jobs}", f"{len(result.request_seconds)}", *quantiles),
        ],
    )


def _build_memory_measure(program: ApiProcess, amount: Amount) -> Measure:
    return Measure(
        name="api_memory_mebibytes",
        title="Memory of the API",
        value=round(_memory_mib(program), 1),
        goal=GOAL_MEMORY_MIB,
        unit="MiB",
        method=amount.method_of_memory,
    )
