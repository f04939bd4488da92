"""Tests of completed imports: the copy equals the source, and it belongs to the preview's owner."""

import json
from functools import partial

import pytest
from tests.e2e import comparison
from tests.e2e.postgres_pods import EMBEDDED, Source
from tests.e2e.tenant import IMPORTS, READY_SECONDS, Tenant, condition_of, reason_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.preflight_checks import CheckName
from pgimport.schema.crd import IMPORT as IMPORT_KIND

pytestmark = pytest.mark.cluster

# Database of the source → what is imported from it.
COPIED = ("shop", "allowed", "empty", "small")


@pytest.fixture(scope="module")
def imported(tenant: Tenant) -> dict[str, Manifest]:
    """One import of each, all at once: previews and imports in one `kubectl apply`, in no particular order."""
    kubectl.apply(
        *(tenant.import_manifest(f"copy-{name}", name, f"copy-{name}") for name in COPIED),
        *(tenant.preview_manifest(f"copy-{name}") for name in COPIED),
    )
    bodies = tenant.wait_until_over(*(f"copy-{name}" for name in COPIED))
    for name, body in bodies.items():
        assert body["status"]["state"] == "completed", tenant.describe(IMPORTS, name)
    return bodies


@pytest.mark.parametrize("name", COPIED)
def test_equals_its_source(name: str, tenant: Tenant, source: Source, imported: dict[str, Manifest]) -> None:
    comparison.assert_same(source.server, name, EMBEDDED, tenant.database(f"copy-{name}"))


def test_the_comparison_sees_a_difference(source: Source) -> None:
    """A comparison that finds everything equal would prove nothing."""
    shop, small = (comparison.read_content(source.server, name) for name in ("shop", "small"))
    assert shop.structure != small.structure
    assert (len(shop.rows), len(small.rows)) == (12, 1)
    assert (len(shop.sequences), len(small.sequences)) == (3, 0)
    assert (len(shop.large_objects), len(small.large_objects)) == (3, 0)


@pytest.mark.parametrize("name", COPIED)
def test_status_says_what_was_done(name: str, tenant: Tenant, imported: dict[str, Manifest]) -> None:
    body = imported[f"copy-{name}"]
    status = body["status"]
    assert condition_of(body)["status"] == "True"
    assert condition_of(body, "Succeeded")["status"] == "True"
    assert condition_of(body, "Finished")["status"] == "True"
    assert reason_of(body) == "Completed"
    assert (status["attempts"], status["progress"]["percent"], status["id"]) == (1, 100, f"{tenant.name}.copy-{name}")
    assert status["verification"]["verified"] is True
    assert "error" not in status
    checks = {check["name"]: check["status"] for check in status["preflight"]["checks"]}
    assert list(checks) == list(CheckName)
    assert "fail" not in checks.values()
    assert status["preflight"]["ok"] is True
    times = [status[at] for at in ("createdAt", "startedAt", "claimedAt", "completedAt")]
    assert times == sorted(times)
    assert status["observedGeneration"] == body["metadata"]["generation"]


def test_counts_are_those_of_the_source(source: Source, imported: dict[str, Manifest]) -> None:
    verification = imported["copy-shop"]["status"]["verification"]
    # Rows of partitions are counted in their roots, and views have no rows of their own.
    tables = comparison.read_content(source.server, "shop").rows
    own = [rows for name, (rows, _) in tables.items() if not name.startswith(("public.orders_", "public.totals"))]
    expected = sum(map(int, own))
    assert (verification["rows"], verification["largeObjects"], verification["sequences"]) == (expected, 3, 3)


@pytest.mark.parametrize("name", COPIED)
def test_T4_everything_belongs_to_the_owner(name: str, tenant: Tenant, imported: dict[str, Manifest]) -> None:
    preview = tenant.preview(f"copy-{name}")["status"]
    database, role = preview["database"], preview["role"]
    owners = EMBEDDED.query(
        """
        SELECT DISTINCT relowner::regrole FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t', 'i')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        UNION SELECT DISTINCT proowner::regrole FROM pg_proc WHERE oid >= 16384
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
        UNION SELECT DISTINCT nspowner::regrole FROM pg_namespace WHERE oid >= 16384 OR nspname = 'public'
        UNION SELECT DISTINCT lomowner::regrole FROM pg_largeobject_metadata
        """,
        database,
    )
    assert owners == [[role]]
    rights = EMBEDDED.query(
        """
        SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolcanlogin, rolconfig IS NULL,
            (SELECT count(*) FROM pg_auth_members WHERE member = r.oid),
            (SELECT datdba = r.oid AND datallowconn FROM pg_database WHERE datname = :'database'),
            has_database_privilege('public', :'database', 'CONNECT')
        FROM pg_roles r WHERE rolname = :'role'
        """,
        database=database,
        role=role,
    )
    assert rights == [["f", "f", "f", "f", "f", "t", "t", "0", "t", "f"]]


def test_the_connection_secret_still_opens_it(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    connection = tenant.connection("copy-shop")
    assert connection.keys() == {"host", "port", "dbname", "user", "password", "uri"}
    assert tenant.log_in("copy-shop", "SELECT count(*) FROM customers") == [["500"]]
    # Row security with FORCE holds for the owner as well.
    assert tenant.log_in("copy-shop", "SELECT count(*), min(tenant) FROM guarded") == [["20", "1"]]
    # What an owner may do in a database of its own.
    assert tenant.log_in("copy-shop", "CREATE SCHEMA more; CREATE TABLE more.own AS SELECT 7 AS n; TABLE more.own") == [
        ["7"]
    ]


def test_statistics_are_there(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    database = tenant.database("copy-shop")
    missing = EMBEDDED.query(
        "SELECT tablename FROM pg_tables JOIN pg_class ON relname = tablename AND reltuples < 0"
        " WHERE schemaname IN ('public', 'Büro & Lager')",
        database,
    )
    assert missing == []
    assert EMBEDDED.value("SELECT count(*) > 20 FROM pg_stats WHERE schemaname = 'public'", database) == "t"


def _is_complete(tenant: Tenant, uid: str) -> bool:
    return any(condition_of(job, "Complete") for job in tenant.jobs(uid))


def test_nothing_else_is_left(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    for body in imported.values():
        tenant.assert_nothing_left(body)
        name = body["spec"]["target"]["previewDatabase"]
        assert "activeImport" not in tenant.preview(name)["status"]
        assert "lockedResource" not in body["status"]
        # The Job stays for its logs, and goes by itself.
        (job,) = tenant.jobs(body["metadata"]["uid"])
        assert job["spec"]["ttlSecondsAfterFinished"] == 86_400
        complete = partial(_is_complete, tenant, body["metadata"]["uid"])
        kubectl.wait_until(complete, "the Job is complete", READY_SECONDS)
        (pod,) = tenant.pods(body["metadata"]["uid"])
        assert pod["status"]["phase"] == "Succeeded"
        assert "import ended: all is well" in kubectl.logs(tenant.name, pod["metadata"]["name"])


def test_imports_have_no_finalizer_and_no_annotation(imported: dict[str, Manifest]) -> None:
    """GitOps tools compare annotations, and a deletion must not wait for an operator."""
    for body in imported.values():
        assert "finalizers" not in body["metadata"]
        assert "annotations" not in body["metadata"]


def test_kubectl_shows_it(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    lines = kubectl.run("get", "pgi", "copy-shop", "--namespace", tenant.name).splitlines()
    assert lines[0].split() == ["NAME", *(column.name.upper() for column in IMPORT_KIND.columns)]
    data_as_of = imported["copy-shop"]["status"]["dataAsOf"]
    assert lines[1].split()[:7] == ["copy-shop", "completed", "copy-shop", "1", "100", data_as_of, "0"]


def test_events_tell_the_story(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    events = kubectl.list_objects("events.events.k8s.io", tenant.name)
    reasons = [event["reason"] for event in events if event["regarding"].get("name") == "copy-shop"]
    assert {"Running", "Completed"} <= set(reasons), json.dumps(reasons)
