"""A live source by its name and over TLS: what is judged is what is connected to, under the name that was written."""

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
GOOD = "127.0.0.2"  # where the source's door is, and the only address that the Project allows
ALLOWED = AllowedSources(allowed_cidrs=[f"{GOOD}/32"])
FLOORS = {17: 0, 18: 0}  # Debian's clients are whatever they are today


@dataclass(frozen=True)
class Place:
    """A server of 17 with a certificate for NAME, the door to it, and its CA."""

    server: PostgresServer
    clients: Path
    door: RecordingProxy
    ca: Path

    def url(self, rest: str, host: str = NAME) -> str:
        return f"postgresql://postgres:{self.server.superuser_password}@{host}:{self.door.port}/shop{rest}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
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
        # Large enough for a stream of its own, beside small ones.
        server.execute("CREATE TABLE orders AS SELECT i FROM generate_series(1, 200000) AS i", "shop")
        server.execute("CREATE TABLE customers AS SELECT 1 AS i", "shop")
        with run_recording_proxy(GOOD, server.host, server.port) as door:
            yield Place(server, clients, door, ca)


@pytest.fixture
def names() -> Iterator[NameServer]:
    answers: dict[str, Answer] = {NAME: lambda _: [GOOD], OTHER: lambda _: [GOOD]}
    with run_name_server(answers) as server:
        yield server


@pytest.fixture
def away(tmp_path: Path, postgres18: PostgresServer, place: Place) -> Bench:
    """A bench with that source, and an 18 as its target."""
    place.door.heads.clear()
    return Bench(tmp_path, "", postgres18, place.clients)


def run_import(bench: Bench) -> WorkerResult:
    """Where the tests' name server is the system's."""
    with bench.shadow():
        return run_with_name_server(ADDRESS, lambda: bench.run(sources=ALLOWED, floors=FLOORS))


def trust(bench: Bench, place: Place) -> None:
    (bench.home / "ca").write_bytes(place.ca.read_bytes())


def test_T17_every_client_tells_the_name_and_checks_it(away: Bench, place: Place, names: NameServer) -> None:
    """The address is pinned; a provider's proxy still needs the name (SNI), and `verify-full` checks it."""
    trust(away, place)
    away.source_url = place.url("?sslmode=verify-full")
    result = run_import(away)
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.rows == 200001
    assert len(place.door.heads) >= 4  # the snapshot's holder, pg_dump, and streams of either library
    assert all(NAME.encode() in head for head in place.door.heads)


def test_required_channel_binding_is_used(away: Bench, place: Place, names: NameServer) -> None:
    """asyncpg does not implement it, so libpq copies every row."""
    away.source_url = place.url("?sslmode=require&channel_binding=require")
    result = run_import(away)
    assert result.ok, result.failure
    assert result.verification is not None
    assert any("the source URL requires channel binding" in note for note in result.verification.notes)


def test_rebinding_leads_nowhere(away: Bench, place: Place, names: NameServer) -> None:
    """The name is asked once; whatever it means afterwards, nobody asks it again."""
    names.answers[NAME] = lambda before: [GOOD] if before == 0 else ["127.0.0.1"]
    away.source_url = place.url("?sslmode=require")
    # Where the name leads to from the second answer on.
    with run_recording_proxy("127.0.0.1", place.server.host, place.server.port, at=place.door.port) as trap:
        result = run_import(away)
        assert trap.heads == []
    assert result.ok, result.failure
    assert names.queries == [NAME]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        pytest.param("127.0.0.1.nip.test", ["127.0.0.1"], id="a name with an address in it"),
        pytest.param("mixed.example.test", [GOOD, "127.0.0.1"], id="one good and one bad address"),
        pytest.param("mapped.example.test", ["::ffff:127.0.0.1"], id="mapped into IPv6"),
        pytest.param("metadata.example.test", ["169.254.169.254"], id="a cloud's metadata"),
        pytest.param("nat64.example.test", ["64:ff9b::7f00:1"], id="through NAT64"),
    ],
)
def test_a_name_that_leads_inside_is_refused(
    away: Bench, place: Place, names: NameServer, name: str, answers: list[str]
) -> None:
    names.answers[name] = lambda _: answers
    away.source_url = place.url("?sslmode=require", name)
    result = run_import(away)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN
    assert place.door.heads == []


def test_a_certificate_of_another_name_is_refused(away: Bench, place: Place, names: NameServer) -> None:
    trust(away, place)
    away.source_url = place.url("?sslmode=verify-full", OTHER)
    failure = run_import(away).failure
    assert failure is not None
    assert (failure.reason, OTHER in failure.message) == (Reason.SOURCE_TLS_FAILED, True)
    away.source_url = place.url("?sslmode=verify-ca", OTHER)
    assert run_import(replace(away, pod_uid="again")).ok


def test_the_systems_own_authorities_do_not_know_a_private_one(away: Bench, place: Place, names: NameServer) -> None:
    away.source_url = place.url("?sslmode=verify-full&sslrootcert=system")
    failure = run_import(away).failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_TLS_FAILED


def test_without_sslmode_nothing_goes_in_clear_text(away: Bench, place: Place, names: NameServer) -> None:
    away.source_url = place.url("")
    assert run_import(away).ok
    assert not any(b"shop" in bytes(head) for head in place.door.heads)
