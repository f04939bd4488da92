"""The report of an import with refused objects: condition, ConfigMap and HTTP API, also after the pod is gone."""

import json
from collections.abc import Iterator

import pytest
from tests.e2e.api_calls import Curl, forward_port, make_key
from tests.e2e.fixtures import file_lock
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import END_SECONDS, IMPORTS, Tenant, condition_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

DATABASE, PUBLICATIONS = "refusals", 100
# A function that only a superuser can create, with a view and an index that need it, and a materialised view that
# cannot be refreshed.
CONTENT = """
CREATE TABLE kept (id integer PRIMARY KEY, name text);
INSERT INTO kept SELECT n, 'name ' || n FROM generate_series(1, 50) AS n;
CREATE FUNCTION native(integer) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'hashint4';
CREATE VIEW hashed AS SELECT native(id) FROM kept;
CREATE INDEX by_hash ON kept (native(id));
CREATE TABLE divisors (x integer);
INSERT INTO divisors VALUES (1);
CREATE MATERIALIZED VIEW ratio AS SELECT 1 / x AS ratio FROM divisors;
UPDATE divisors SET x = 0;
"""
UNFILLED = "MATERIALIZED VIEW DATA public.ratio"
REFUSED = ["FUNCTION public.native(integer)", "INDEX public.by_hash", UNFILLED, "VIEW public.hashed"]


@pytest.fixture(scope="module")
def curl(tenant: Tenant) -> Iterator[Curl]:
    # Not beside test_api.py, which changes the number of replicas: that cuts forwarded ports.
    with file_lock("api-replicas"), forward_port() as port:
        yield Curl(port, make_key("--organization", "e2e", "--name", "reports"))


@pytest.fixture(scope="module")
def imported(tenant: Tenant, source: Source) -> Iterator[Manifest]:
    """An import whose source has 100 publications, and whose target refuses a function and what needs it."""
    name = f"{DATABASE}-{tenant.name}".replace("-", "_")
    source.server.execute(f"CREATE DATABASE {name}")
    publications = "".join(f"CREATE PUBLICATION news_{number:03};" for number in range(PUBLICATIONS))
    source.server.execute(CONTENT + publications, name)
    source.server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO exporter", name)
    tenant.make_secrets({DATABASE: source.url(name)})
    tenant.make_previews(DATABASE)
    tenant.start(DATABASE, DATABASE, DATABASE)
    yield tenant.wait_for_end(DATABASE, "completed")
    source.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def read_report(tenant: Tenant, body: Manifest) -> list[dict[str, object]]:
    (name,) = body["status"]["reportRef"]["configMaps"]
    text = kubectl.get("configmaps", name, tenant.name)["data"]["report.jsonl"]
    return [json.loads(line) for line in text.splitlines()]


def test_the_condition_names_what_the_target_refused(imported: Manifest) -> None:
    status = imported["status"]
    assert condition_of(imported)["status"] == "True"
    condition = condition_of(imported, "FullyImported")
    assert (condition["status"], condition["reason"]) == ("False", "ObjectsRefused")
    assert UNFILLED in condition["message"]
    assert (status["skipped"], status["refused"]) == (PUBLICATIONS + len(REFUSED), len(REFUSED))
    assert sorted(item["object"] for item in status["skippedObjects"][: len(REFUSED)]) == REFUSED
    assert len(status["skippedObjects"]) < status["skipped"]
    assert status["verification"]["verified"] is True


def test_kubectl_shows_it(tenant: Tenant, imported: Manifest) -> None:
    header, row = kubectl.run("get", IMPORTS, DATABASE, f"--namespace={tenant.name}").splitlines()
    cells = dict(zip(header.split(), row.split(), strict=True))
    assert (cells["SKIPPED"], cells["FULL"], cells["STATE"]) == (
        str(imported["status"]["skipped"]),
        "False",
        "completed",
    )


def test_the_report_lists_everything(tenant: Tenant, imported: Manifest, curl: Curl) -> None:
    entries = [line["skipped"] for line in read_report(tenant, imported) if "skipped" in line]
    objects = [entry["object"] for entry in entries]  # type: ignore[index]
    assert sorted(objects) == sorted(REFUSED + [f"PUBLICATION news_{number:03}" for number in range(PUBLICATIONS)])
    assert "message" not in imported["status"]["reportRef"]
    job = f"/jobs/{imported['status']['id']}"
    status, answer = curl.call("GET", f"{job}/report")
    assert (status, answer["report"]["complete"]) == (200, True)
    assert [item["object"] for item in answer["report"]["skipped"]] == objects
    shown = curl.call("GET", job)[1]["job"]
    assert (shown["skipped"], shown["refused"], shown["fully_imported"]) == (len(objects), len(REFUSED), False)


def test_the_report_stays_after_the_pod_and_goes_with_the_import(
    tenant: Tenant, imported: Manifest, curl: Curl
) -> None:
    uid = imported["metadata"]["uid"]
    for job in tenant.jobs(uid):
        kubectl.delete("jobs", job["metadata"]["name"], namespace=tenant.name)
    kubectl.wait_until(lambda: tenant.pods(uid) == [] or None, "its pod is gone", END_SECONDS)
    assert len(read_report(tenant, imported)) > PUBLICATIONS
    assert curl.call("GET", f"/jobs/{imported['status']['id']}/report")[0] == 200
    (name,) = imported["status"]["reportRef"]["configMaps"]
    tenant.delete(DATABASE)
    kubectl.wait_until(
        lambda: kubectl.find("configmaps", name, tenant.name) is None or None, "its report is gone", END_SECONDS
    )
