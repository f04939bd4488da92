"""A target server that refuses to create an attempt's shadow."""

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, WAITING, Tenant, ended, running
from tests.handlers.stepwise_operator import Operator, key, start_import
from tests.support.kubernetes import a_body
from tests.support.samples import a_preflight, a_result, a_source

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, attempt_names


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param({"encoding": "SJIS"}, "SJIS is not a valid encoding name", id="an encoding of clients only"),
        pytest.param({"encoding": "KOI8X"}, "KOI8X is not a valid encoding name", id="an unknown encoding"),
    ],
)
def test_the_import_fails_at_once_with_the_servers_words(
    tenant: Tenant, name: str, source: dict[str, str], words: str
) -> None:
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    passed = a_result("preflight", preflight=a_preflight(source=a_source(extensions=[], **source)))
    tenant.change_pod(pod, ended(passed, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], status["retryClassification"]) == ("failed", "permanent")
    assert words in status["error"]
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert ready["reason"] == "ServerRefused"
    names = attempt_names(pod)
    assert tenant.exists(names.database, names.role) == (False, False)


def test_a_preview_shows_the_words_of_a_server_that_refuses_it(tenant: Tenant, name: str) -> None:
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
    operator = Operator(tenant.kubernetes)
    tenant.server.execute("ALTER ROLE admin NOCREATEDB")
    try:
        operator.reconcile(key(PREVIEWS, name))
    finally:
        tenant.server.execute("ALTER ROLE admin CREATEDB")
    ready = next(item for item in tenant.status(name, PREVIEWS)["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "ServerNotFit")
    assert "permission denied to create database" in ready["message"]
    operator.reconcile(key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "ready"
