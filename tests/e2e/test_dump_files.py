"""Tests imports of dump files over HTTPS, with a CA of the user's own."""

import gzip
import hashlib
from typing import Any

import pytest
from tests.e2e import comparison
from tests.e2e.file_server import FileServer, dump, start_file_server
from tests.e2e.postgres_pods import EMBEDDED, Source, secret_manifest
from tests.e2e.tenant import IMPORTS, KEPT_ROWS, Tenant, reason_of, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

CA = "files-ca"
MASK = "UPDATE customers SET mail = 'masked-' || id || '@example.org';"
FORMATS = ("custom", "tar", "directory", "plain")


@pytest.fixture(scope="module")
def files(tenant: Tenant, source: Source) -> FileServer:
    server = start_file_server(source.server.namespace)
    kubectl.create(secret_manifest(tenant.name, CA, {"root.pem": server.ca}))
    return server


@pytest.fixture(scope="module")
def contents(source: Source) -> dict[str, bytes]:
    dumps = {form: dump(source.server, "shop", f"--format={form}") for form in FORMATS}
    return dumps | {"plain": gzip.compress(dumps["plain"]), "half": dumps["custom"][: len(dumps["custom"]) // 2]}


def spec_of(name: str, **more: Any) -> Manifest:
    return {"urlSecretRef": {"name": name, "key": "url"}, "caSecretRef": {"name": CA, "key": "root.pem"}, **more}


@pytest.fixture(scope="module")
def imported(tenant: Tenant, files: FileServer, contents: dict[str, bytes]) -> dict[str, Manifest]:
    """Imports at the same time: each format, one with a checksum, one with a wrong checksum, and half a file."""
    names = {f"file-{form}": contents[form] for form in FORMATS}
    names |= {"file-half": contents["half"], "file-wrong-sum": contents["custom"]}
    tenant.make_previews(*(f"file-{form}" for form in FORMATS))
    tenant.make_kept_previews("file-half", "file-wrong-sum")
    tenant.make_secrets({name: files.put(name, content) for name, content in names.items()})
    sums = {"file-custom": hashlib.sha256(contents["custom"]).hexdigest(), "file-wrong-sum": "0" * 64}
    kubectl.create(
        *(
            tenant.import_manifest(
                name,
                name,
                name,
                recreate=True,
                source=spec_of(name, **({"sha256": sums[name]} if name in sums else {})),
            )
            for name in names
        )
    )
    return tenant.wait_until_over(*names)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_equals_the_database_it_was_made_of(
    tenant: Tenant, source: Source, imported: dict[str, Manifest], form: str
) -> None:
    body = imported[f"file-{form}"]
    assert state_of(body) == "completed", tenant.describe(IMPORTS, f"file-{form}")
    comparison.assert_same(source.server, "shop", EMBEDDED, tenant.database(f"file-{form}"))
    facts = body["status"]["preflight"]["source"]
    assert (facts["file"]["format"], facts["file"]["compression"]) == (form, "gzip" if form == "plain" else "none")
    assert body["status"]["verification"]["verified"] is True


@pytest.mark.parametrize(
    ("name", "words"), [("file-half", "it ends after"), ("file-wrong-sum", "SHA-256")], ids=["half", "wrong checksum"]
)
def test_a_damaged_file_leaves_the_target(tenant: Tenant, imported: dict[str, Manifest], name: str, words: str) -> None:
    body = imported[name]
    assert (state_of(body), reason_of(body)) == ("failed", "DumpCorrupt"), tenant.describe(IMPORTS, name)
    assert words in body["status"]["error"]
    assert body["status"]["attempts"] == 1
    assert tenant.kept_rows(name) == KEPT_ROWS
    tenant.assert_nothing_left(body)


def test_the_urls_signature_is_nowhere(tenant: Tenant, imported: dict[str, Manifest]) -> None:
    for name, body in imported.items():
        assert "signature=" not in str(body)
        for pod in tenant.pods(body["metadata"]["uid"]):
            assert f"0a1b2c3d4e5f-{name}" not in kubectl.logs(tenant.name, pod["metadata"]["name"])


def test_an_import_waits_for_its_ca_and_its_sql(tenant: Tenant, source: Source) -> None:
    """When both exist, the import masks the copy before anybody can read it."""
    tenant.make_previews("masked")
    script = {"sqlConfigMapRef": {"name": "mask", "key": "mask.sql"}}
    tenant.start("masked", "shop", "masked", postImport=script)
    tenant.wait_for_reason("masked", "ConfigMapMissing")
    metadata = {"name": "mask", "namespace": tenant.name}
    kubectl.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mask.sql": MASK}})
    tenant.wait_for_end("masked", "completed")
    assert tenant.log_in("masked", "SELECT count(*), count(*) FILTER (WHERE mail LIKE 'masked-%') FROM customers") == [
        ["500", "500"]
    ]
