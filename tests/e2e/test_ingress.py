"""Uses the API and its page through a real controller of Ingresses and Gateways: over HTTPS, by host name."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page
from tests.e2e.api_calls import make_key
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import EMBEDDED
from tests.e2e.routed_api import (
    DOMAIN,
    Site,
    applied,
    build_certificate_manifest,
    build_gateway_manifest,
    build_gateway_values,
    build_ingress_values,
    find_own_address,
    render_api,
    wait_until_served,
)
from tests.e2e.tenant import API_VERSION, READY_SECONDS, describe_trial_server, remove_tenant, start_project
from tests.e2e.traefik_controller import build_class_manifests, ensure_traefik, run_traefik
from tests.support import kubectl
from tests.support.browser import run_browser
from tests.support.yaml_files import read_yaml

pytestmark = [pytest.mark.cluster, pytest.mark.ingress]

NAMESPACE = name_for_worker("e2e-ingress")
INGRESS, GATEWAY = "ingress", "gateway"
PATIENCE = 1000 * READY_SECONDS * kubectl.PATIENCE  # milliseconds
UPLOAD_BYTES = 24 * 1024 * 1024  # proxies often limit a body to 1 MiB
ENOUGH_ATTEMPTS = 200
FEW_ATTEMPTS = 10  # fewer than an address has


@pytest.fixture(scope="module")
def sites(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """Two APIs with the routes that the chart renders: one behind an Ingress, one behind a Gateway."""
    if (kubectl.cluster_folder() / "provider").read_text().strip() != "bare":
        pytest.skip("the controller runs on this host, which reaches pods only in the bare cluster")
    program, folder = ensure_traefik(), tmp_path_factory.mktemp("ingress")
    log = folder / "traefik.log"
    definitions = [read_yaml(path) for path in sorted((program / "crds").glob("*.yaml"))]
    server = describe_trial_server(f"pgimport-server.{EMBEDDED.namespace}.svc")
    remove_tenant(NAMESPACE)
    kubectl.wait_until(lambda: kubectl.find("namespace", NAMESPACE) is None, "the last run's namespace is gone", 120)
    try:
        start_project(NAMESPACE, {"organizationID": NAMESPACE, "namespace": NAMESPACE, "server": server})
        kubectl.apply(build_certificate_manifest(NAMESPACE, folder))
        with applied(definitions), run_traefik(program, NAMESPACE, log) as port:
            both = {name: Site(name, port, folder / "ca.crt") for name in (INGRESS, GATEWAY)}
            apis = [
                *render_api(INGRESS, NAMESPACE, build_ingress_values(both[INGRESS], find_own_address())),
                *render_api(GATEWAY, NAMESPACE, build_gateway_values(both[GATEWAY])),
            ]
            with applied([*build_class_manifests(), build_gateway_manifest(NAMESPACE, port), *apis]):
                for site in both.values():
                    wait_until_served(site, log)
                yield both
    finally:
        remove_tenant(NAMESPACE)


@pytest.fixture(params=[INGRESS, GATEWAY])
def site(sites: dict[str, Site], request: pytest.FixtureRequest) -> Site:
    return sites[request.param]


@pytest.fixture(scope="module")
def key(sites: dict[str, Site]) -> str:
    return make_key("--organization", NAMESPACE, "--name", "routes", namespace=NAMESPACE)


@pytest.fixture
def page(site: Site, key: str) -> Iterator[Page]:
    """A browser that has signed in by host name."""
    with run_browser(f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1") as browser:
        context = browser.new_context(base_url=site.url, ignore_https_errors=True)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto("/ui/")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{site.url}/ui/imports")
        yield page


def sign_in(client: httpx.Client, key: str, origin: str) -> httpx.Response:
    """Sends the form as a browser does that has no Sec-Fetch-Site. The client keeps the cookie."""
    return client.post("/ui/sign-in", data={"key": key}, headers={"Origin": origin})


def create_schedule() -> str:
    """Creates an object that the page shows and that starts nothing, and returns its name."""
    name = f"route-{secrets.token_hex(3)}"
    template = {
        "project": NAMESPACE,
        "source": {"urlSecretRef": {"name": "absent", "key": "url"}},
        "target": {"previewDatabase": "absent"},
        "recreate": True,
    }
    spec = {"schedule": "0 3 * * *", "suspend": True, "importTemplate": template}
    metadata = {"name": name, "namespace": NAMESPACE}
    kubectl.create({"apiVersion": API_VERSION, "kind": "PostgresImportSchedule", "metadata": metadata, "spec": spec})
    return name


def test_a_browser_signs_in_and_sees_changes(page: Page) -> None:
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-pgimport", True, True)
    page.goto("/ui/schedules")
    page.get_by_role("row", name=create_schedule()).wait_for()  # the open page changes by itself


def test_a_browser_uploads_a_large_file(page: Page, tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_bytes(secrets.token_bytes(UPLOAD_BYTES))
    page.goto(f"/ui/imports/new?project={NAMESPACE}")
    page.get_by_label("Or a dump file from this computer").set_input_files(tmp_path / "shop.sql")
    page.get_by_text("Uploaded shop.sql.").wait_for()


def test_changes_arrive_while_the_stream_is_open(site: Site, key: str) -> None:
    with site.connect() as client:
        assert sign_in(client, key, site.url).status_code == 303
        with client.stream("GET", "/ui/changes") as stream:
            lines = stream.iter_lines()
            assert "event: changed" in lines  # what the page has missed
            create_schedule()
            assert "event: changed" in lines


def test_only_the_pages_own_origin_may_send_forms(site: Site, key: str) -> None:
    with site.connect() as client:
        for foreign in ("https://other.test", f"http://{site.name}.{DOMAIN}:1", "null"):
            assert sign_in(client, key, foreign).status_code == 403
        assert sign_in(client, key, site.url).status_code == 303


def test_programs_call_the_api_and_upload_a_large_file(site: Site, key: str) -> None:
    with site.connect(headers={"X-API-Key": key}) as client:
        assert client.get(f"/v1/projects/{NAMESPACE}/jobs").json() == {"jobs": []}
        upload = client.post(f"/v1/projects/{NAMESPACE}/imports/uploads").json()["upload"]
        assert upload["upload_url"].startswith(f"{site.url}/v1/uploads/")
        content = secrets.token_bytes(UPLOAD_BYTES)
        assert client.put(upload["upload_url"], content=content).status_code == 200
        assert client.put(upload["upload_url"], content=content).status_code == 409  # it was stored


def test_the_addresses_of_clients_count_if_the_proxy_is_trusted(site: Site, key: str) -> None:
    def is_refused(client: httpx.Client, attempts: int) -> bool:
        wrong = {"X-API-Key": "wrong"}
        path = f"/v1/projects/{NAMESPACE}/jobs"
        return any(client.get(path, headers=wrong).status_code == 429 for _ in range(attempts))

    with site.connect("127.0.0.2") as attacker, site.connect("127.0.0.3") as other:
        assert is_refused(attacker, ENOUGH_ATTEMPTS)
        trusted = site.name == INGRESS
        assert is_refused(other, FEW_ATTEMPTS) is not trusted
        assert attacker.get(f"/v1/projects/{NAMESPACE}/jobs", headers={"X-API-Key": key}).status_code == 200
    (pod,) = kubectl.list_objects("pods", NAMESPACE, f"app.kubernetes.io/instance={site.name}")
    log = kubectl.logs(NAMESPACE, pod["metadata"]["name"])
    advice = f"requests from {find_own_address()} have X-Forwarded-For"
    assert (advice in log, "127.0.0.2" in log) == (not trusted, trusted)
