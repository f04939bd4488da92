"""A live source is reached over TLS at the address that was checked, under the host name in its URL."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.cluster.debian_postgres import RELEASES, link_clients, server_tree
from tests.support.https import make_certificates
from tests.support.name_server import ADDRESS, Answer, NameServer, run_name_server
from tests.support.postgres import PostgresServer, run_postgres, tree_programs
from tests.support.recording_proxy import RecordingProxy, run_recording_proxy
from tests.support.resolver import run_with_name_server
from tests.worker.conftest import Bench

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

pytestmark = pytest.mark.thorough

NAME, OTHER = "db.example.test", "other.example.test"
SOURCE_ADDRESS = "127.0.0.2"  # of the source's proxy; the only address that the Project allows
ALLOWED = AllowedSources(allowed_cidrs=[f"{SOURCE_ADDRESS}/32"])
FLOORS = {17: 0, 18: 0}  # any minor of Debian's clients is accepted


@dataclass(frozen=True)
class TlsSource:
    """A server 17 with a certificate for NAME, a recording proxy before it, and its CA."""

    server: PostgresServer
    clients: Path
    proxy: RecordingProxy
    ca: Path

    def url(self, rest: str, host: str = NAME) -> str:
        return f"postgresql://postgres:{self.server.superuser_password}@{host}:{self.proxy.port}/shop{rest}"


@pytest.fixture(scope="module")
def tls_source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSource]:
    folder = tmp_path_factory.mktemp("network")
    clients = folder / "bin"
    for major in (17, 18):
        assert major in RELEASES
        link_clients(server_tree(major), major, clients)
    certificates = folder / "certificates"
    certificates.mkdir()
    ca = make_certificates(certificates, NAME)
    programs = tree_programs(17, server_tree(17), clients)
    with run_postgres(17, programs, tls=certificates) as server:
        server.execute("CREATE DATABASE shop")
        # One table is large enough for a stream of its own.
        server.execute("CREATE TABLE orders AS SELECT i FROM generate_series(1, 200000) AS i", "shop")
        server.execute("CREATE TABLE customers AS SELECT 1 AS i", "shop")
        with run_recording_proxy(SOURCE_ADDRESS, server.host, server.port) as proxy:
            yield TlsSource(server, clients, proxy, ca)


@pytest.fixture
def names() -> Iterator[NameServer]:
    answers: dict[str, Answer] = {NAME: lambda _: [SOURCE_ADDRESS], OTHER: lambda _: [SOURCE_ADDRESS]}
    with run_name_server(answers) as server:
        yield server


@pytest.fixture
def network_bench(tmp_path: Path, postgres18: PostgresServer, tls_source: TlsSource) -> Bench:
    """A bench with the TLS source, and a target 18."""
    tls_source.proxy.heads.clear()
    return Bench(tmp_path, "", postgres18, tls_source.clients)


def run_import(bench: Bench) -> WorkerResult:
    """Runs an import with the tests' name server as the system's."""
    with bench.shadow():
        return run_with_name_server(ADDRESS, lambda: bench.run(sources=ALLOWED, floors=FLOORS))


def trust_ca(bench: Bench, tls_source: TlsSource) -> None:
    (bench.home / "ca").write_bytes(tls_source.ca.read_bytes())


def test_T17_every_client_sends_the_host_name_and_checks_the_certificate(
    network_bench: Bench, tls_source: TlsSource, names: NameServer
) -> None:
    """The address is pinned, but a provider's proxy needs the host name (SNI), and `verify-full` checks it."""
    trust_ca(network_bench, tls_source)
    network_bench.source_url = tls_source.url("?sslmode=verify-full")
    result = run_import(network_bench)
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == 200001
    assert len(tls_source.proxy.heads) >= 4  # the snapshot's session, pg_dump, and streams of asyncpg and libpq
    assert all(NAME.encode() in head for head in tls_source.proxy.heads)


def test_required_channel_binding_is_used(network_bench: Bench, tls_source: TlsSource, names: NameServer) -> None:
    """asyncpg does not implement it, so libpq copies every row."""
    network_bench.source_url = tls_source.url("?sslmode=require&channel_binding=require")
    result = run_import(network_bench)
    assert result.ok, result.failure
    assert result.verification is not None
    assert any("the source URL requires channel binding" in note for note in result.verification.notes)


def test_dns_rebinding_does_not_change_the_address(
    network_bench: Bench, tls_source: TlsSource, names: NameServer
) -> None:
    """The name is resolved once, so later answers do not matter."""
    names.answers[NAME] = lambda query_count: [SOURCE_ADDRESS] if query_count == 0 else ["127.0.0.1"]
    network_bench.source_url = tls_source.url("?sslmode=require")
    # The address in the second and later answers.
    with run_recording_proxy(
        "127.0.0.1", tls_source.server.host, tls_source.server.port, at=tls_source.proxy.port
    ) as forbidden_proxy:
        result = run_import(network_bench)
        assert forbidden_proxy.heads == []
    assert result.ok, result.failure
    assert names.queries == [NAME]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        pytest.param("127.0.0.1.nip.test", ["127.0.0.1"], id="a name with an address in it"),
        pytest.param("mixed.example.test", [SOURCE_ADDRESS, "127.0.0.1"], id="one allowed and one forbidden address"),
        pytest.param("mapped.example.test", ["::ffff:127.0.0.1"], id="mapped into IPv6"),
        pytest.param("metadata.example.test", ["169.254.169.254"], id="a cloud's metadata"),
        pytest.param("nat64.example.test", ["64:ff9b::7f00:1"], id="through NAT64"),
    ],
)
def test_a_name_with_a_forbidden_address_is_refused(
    network_bench: Bench, tls_source: TlsSource, names: NameServer, name: str, answers: list[str]
) -> None:
    names.answers[name] = lambda _: answers
    network_bench.source_url = tls_source.url("?sslmode=require", name)
    result = run_import(network_bench)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN
    assert tls_source.proxy.heads == []


def test_a_certificate_for_another_name_is_refused(
    network_bench: Bench, tls_source: TlsSource, names: NameServer
) -> None:
    trust_ca(network_bench, tls_source)
    network_bench.source_url = tls_source.url("?sslmode=verify-full", OTHER)
    failure = run_import(network_bench).failure
    assert failure is not None
    assert (failure.reason, OTHER in failure.message) == (Reason.SOURCE_TLS_FAILED, True)
    network_bench.source_url = tls_source.url("?sslmode=verify-ca", OTHER)
    assert run_import(replace(network_bench, pod_uid="again")).ok


def test_a_private_ca_is_not_trusted_with_sslrootcert_system(
    network_bench: Bench, tls_source: TlsSource, names: NameServer
) -> None:
    network_bench.source_url = tls_source.url("?sslmode=verify-full&sslrootcert=system")
    failure = run_import(network_bench).failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_TLS_FAILED


def test_without_sslmode_the_connection_is_encrypted(
    network_bench: Bench, tls_source: TlsSource, names: NameServer
) -> None:
    network_bench.source_url = tls_source.url("")
    assert run_import(network_bench).ok
    assert not any(b"shop" in bytes(head) for head in tls_source.proxy.heads)
