"""The API behaves as its OpenAPI document says; schemathesis sends the requests."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import Api

from pgimport.model.names import IMPORTS

CHECKOUT = Path(__file__).parents[2]


def test_the_served_document_is_the_committed_one(api: Api) -> None:
    committed = json.loads((CHECKOUT / "operator" / "openapi.json").read_text(encoding="utf-8"))
    assert httpx.get(f"{api.url}/v1/openapi.json").json() == committed
    assert committed["openapi"].startswith("3.1")


def test_every_operation_has_an_id_a_summary_and_the_error_body(api: Api) -> None:
    document = httpx.get(f"{api.url}/v1/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["operationId"], (path, method)
            assert operation["summary"], (path, method)
            assert operation["security"], (path, method)
            assert "422" not in operation["responses"], (path, method)
            assert operation["responses"]["default"]["content"]["application/json"]["schema"] == {
                "$ref": "#/components/schemas/Problem"
            }


@pytest.fixture
def operator(api: Api) -> Iterator[None]:
    """Finishes every preflight like the operator."""
    stop = threading.Event()
    check = {"name": "source_reachable", "status": "pass", "detail": "it answers"}
    report = {"ok": True, "checks": [check], "source": {"serverVersion": "17.1", "serverVersionNum": 170001}}

    def finish_preflights() -> None:
        while not stop.wait(0.05):
            for body in api.context.cache.list_newest(IMPORTS, "shop", "shop"):
                name = body["metadata"]["name"]
                if name.startswith("preflight-") and "status" not in body:
                    api.set_status(IMPORTS, name, state="completed", preflight=report)

    thread = threading.Thread(target=finish_preflights)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/projects/shop/preview-databases", "GET, POST"),
        ("/v1/preview-databases/shop.x", "DELETE, GET"),
        ("/v1/projects/shop/imports", "POST"),
        ("/v1/jobs/shop.x", "GET"),
    ],
)
def test_a_wrong_method_gets_the_allowed_ones(api: Api, path: str, methods: str) -> None:
    assert api.client.request("PUT", path).headers["allow"] == methods


@pytest.mark.thorough
@pytest.mark.usefixtures("operator")
def test_schemathesis_finds_no_difference_to_the_document(api: Api, tmp_path: Path) -> None:
    """Runs all checks and phases, also stateful ones. A valid string may still be no source URL, so 400 is expected."""
    (tmp_path / "schemathesis.toml").write_text(
        "[checks]\npositive_data_acceptance.expected-statuses = [200, 201, 202, 400, 401, 403, 404, 409, 415, 504]\n"
    )
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{api.url}/v1/openapi.json",
            "--header",
            f"Authorization: Bearer {api.keys['all']}",
            "--checks",
            "all",
            "--max-examples",
            "40",
            "--seed",
            "4711",
            "--no-color",
            "--request-timeout",
            "20",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
