"""What the HTTP API costs: accepted imports against bare writes of the same objects, reads with many jobs, memory."""

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
from tests.bench.http_load import Taken, steady, storm
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
AT_ONCE = 16
READS_PER_SECOND = 200
GOAL_RATIO, GOAL_READ_MS, GOAL_MEMORY_MIB = 0.5, 10.0, 250.0
SOURCE = "postgresql://reader:hush-hush@93.184.215.14:5432/shop"
ASKED = ImportRequest(source_url=SOURCE, dry_run=True)
OPERATOR = "deployment/pgimport-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured."""

    rounds: int
    writes: int  # in each round, by the API and bare
    jobs: int
    read_seconds: int

    @property
    def method_of_writes(self) -> str:
        return f"""\
{self.rounds} rounds of {self.writes} imports by the API and {self.writes} by the API server itself, in turns, after one
of each that is not counted; {AT_ONCE} clients at once. Both write the same two objects for an import: the resource, and
the Secret with the source's URL that it owns. The API runs as a program on this host, the operator does not run."""

    @property
    def method_of_reads(self) -> str:
        return f"""\
`GET /v1/jobs/{{id}}` of {self.jobs:,} jobs, chosen by chance, {READS_PER_SECOND} times a second for
{self.read_seconds} s, by the API's own program on this host. A request's time counts from when it was due, not from
when it could be sent."""

    @property
    def method_of_memory(self) -> str:
        return f"""\
The most that the API's process ever had resident (VmHWM), with {self.jobs:,} jobs, after the writes and reads above."""


FULL = Amount(rounds=5, writes=200, jobs=10_000, read_seconds=30)
QUICK = Amount(rounds=1, writes=40, jobs=400, read_seconds=5)


@dataclass(frozen=True)
class Bench:
    """Both servers, and a connection to each."""

    program: ApiProcess
    session: aiohttp.ClientSession
    key: str = field(repr=False)
    server: str
    headers: dict[str, str] = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)

    async def write_by_api(self, _: int) -> None:
        body = {"source_url": SOURCE, "dry_run": True}
        url = f"{self.program.url}/v1/projects/{PROJECT}/imports"
        async with self.session.post(url, json=body, headers={"X-API-Key": self.key}) as answer:
            assert answer.status == 202, await answer.text()
            await answer.read()

    async def write_bare(self, _: int) -> None:
        owner = await self.write_import("bare-" + secrets.token_hex(10))
        await self._post(f"/api/v1/namespaces/{PROJECT}/secrets", build_source_secret(owner, SOURCE))

    async def write_import(self, name: str) -> dict[str, Any]:
        origin = RequestOrigin(request_id=secrets.token_hex(16), caller="bench")
        body = build_import(ObjectName(project=PROJECT, namespace=PROJECT, name=name), ASKED, None, origin)
        return await self._post(f"/apis/{API_VERSION}/namespaces/{PROJECT}/postgresimports", body)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self.session.post(self.server + path, json=body, headers=self.headers, ssl=self.tls) as answer:
            assert answer.status == 201, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def read_job(self, number: int) -> None:
        url = f"{self.program.url}/v1/jobs/{PROJECT}.{job_name(number)}"
        async with self.session.get(url, headers={"X-API-Key": self.key}) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()


def job_name(number: int) -> str:
    return f"job-{number:05}"


@contextmanager
def _surroundings() -> Iterator[None]:
    """A Project that is ready, and then no operator: what is measured is the API alone."""
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
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def _connect(program: ApiProcess, session: aiohttp.ClientSession) -> Bench:
    known = config.new_client_from_config(kubectl.environment()["KUBECONFIG"]).configuration
    tls = ssl.create_default_context(cafile=known.ssl_ca_cert)
    if known.cert_file:
        tls.load_cert_chain(known.cert_file, known.key_file)
    headers = {"Authorization": known.api_key["authorization"]} if "authorization" in known.api_key else {}
    key = make_key("--organization", PROJECT, "--name", "bench")
    return Bench(program, session, key, known.host, headers, tls)


def measure_shim(amount: Amount) -> list[Measure]:
    """Writes first, while there are few jobs; then many jobs, reads, and what the process took."""
    with (
        _surroundings(),
        tempfile.TemporaryDirectory() as folder,
        run_api(Path(folder), kubectl.environment()["KUBECONFIG"]) as program,
    ):
        return asyncio.run(_measure(program, amount))


async def _measure(program: ApiProcess, amount: Amount) -> list[Measure]:
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limits) as session:
        bench = _connect(program, session)
        rounds = await _measure_writes(bench, amount)
        print(f"making {amount.jobs} jobs", flush=True)
        made = amount.rounds * amount.writes * 2
        await storm(lambda number: _drop(bench.write_import(job_name(number))), range(amount.jobs), AT_ONCE)
        await bench.read_job(amount.jobs - 1)  # the API has seen the last one
        print(f"reading {READS_PER_SECOND} jobs a second", flush=True)
        chosen = random.Random(5).choices(range(amount.jobs), k=READS_PER_SECOND * amount.read_seconds)  # noqa: S311 (a load)
        await steady(bench.read_job, chosen[:READS_PER_SECOND], READS_PER_SECOND)
        reads = await steady(bench.read_job, chosen, READS_PER_SECOND)
        return [_sum_writes(rounds, amount), _sum_reads(reads, made, amount), _sum_memory(program, amount)]


async def _drop(waited: Any) -> None:
    await waited


async def _measure_writes(bench: Bench, amount: Amount) -> list[tuple[Taken, Taken]]:
    """By the API and bare, round by round."""
    rounds = []
    for number in range(amount.rounds + 1):
        ours = await storm(bench.write_by_api, range(amount.writes), AT_ONCE)
        bare = await storm(bench.write_bare, range(amount.writes), AT_ONCE)
        rounds.append((ours, bare))
        print(
            f"round {number} of {amount.rounds}: {ours.rate:.0f} imports/s by the API, {bare.rate:.0f} bare", flush=True
        )
    return rounds[1:]


def _sum_writes(rounds: list[tuple[Taken, Taken]], amount: Amount) -> Measure:
    def row(title: str, taken: list[Taken]) -> tuple[str, ...]:
        rates = [one.rate for one in taken]
        p50, p99 = (1000 * statistics.median(one.quantile(part) for one in taken) for part in (0.5, 0.99))
        return (
            title,
            f"{statistics.median(rates):.0f}",
            f"{min(rates):.0f}",
            f"{max(rates):.0f}",
            f"{p50:.0f}",
            f"{p99:.0f}",
        )

    ours, bare = [one for one, _ in rounds], [one for _, one in rounds]
    return Measure(
        name="api_import_rate_ratio",
        title="Accepted imports a second, against bare writes of the same objects",
        value=round(statistics.median(one.rate / other.rate for one, other in rounds), 2),
        goal=GOAL_RATIO,
        at_least=True,
        unit="×",
        method=amount.method_of_writes,
        reason=REASONS["api_import_rate_ratio"],
        rows=[
            ("", "imports/s, median", "min", "max", "p50, ms", "p99, ms"),
            row("by the API", ours),
            row("by the API server itself", bare),
        ],
    )


def _sum_reads(taken: Taken, made: int, amount: Amount) -> Measure:
    quantiles = [f"{1000 * taken.quantile(part):.1f}" for part in (0.5, 0.9, 0.99, 0.999, 1)]
    return Measure(
        name="api_job_read_p99_milliseconds",
        title="Reading a job",
        value=round(1000 * taken.quantile(0.99), 2),
        goal=GOAL_READ_MS,
        unit="ms",
        method=amount.method_of_reads,
        rows=[
            ("jobs in memory", "reads", "p50, ms", "p90", "p99", "p99.9", "max"),
            (f"{made + amount.jobs}", f"{len(taken.each)}", *quantiles),
        ],
    )


def _sum_memory(program: ApiProcess, amount: Amount) -> Measure:
    return Measure(
        name="api_memory_mebibytes",
        title="Memory of the API",
        value=round(_memory_mib(program), 1),
        goal=GOAL_MEMORY_MIB,
        unit="MiB",
        method=amount.method_of_memory,
    )
