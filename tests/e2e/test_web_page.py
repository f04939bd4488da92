"""Uses the web page of the cluster's API in Chromium, as a person does: every view and action."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route
from tests.e2e.api_calls import forward_port, make_key
from tests.e2e.fixtures import file_lock
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import IMPORTS, PREVIEWS, READY_SECONDS, Tenant, state_of
from tests.support import kubectl
from tests.support.browser import run_browser

pytestmark = [pytest.mark.cluster, pytest.mark.browser]
PATIENCE = 1000 * READY_SECONDS * kubectl.PATIENCE  # milliseconds
DUMP = b"""--
-- PostgreSQL database dump
--
-- Dumped from database version 17.2
-- Dumped by pg_dump version 17.2

CREATE TABLE public.uploaded (id integer);
COPY public.uploaded (id) FROM stdin;
1
2
\\.
--
-- PostgreSQL database dump complete
--
"""
# Writes the documentation's picture of an import there.
PICTURE = os.environ.get("PGIMPORT_WRITE_PICTURE")


@pytest.fixture(scope="module")
def page(tenant: Tenant) -> Iterator[Page]:
    key = make_key("--organization", "e2e", "--name", "page")
    with file_lock("api-replicas"), forward_port() as port, run_browser() as browser:
        context = browser.new_context(base_url=f"http://localhost:{port}", viewport={"width": 1100, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto("/ui/")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/ui/imports")
        yield page


def send(page: Page, button: Locator) -> None:
    """Clicks a form's button, and waits for the page that answers: the old one could look like it."""
    with page.expect_navigation():
        button.click()


def name_of(page: Page) -> str:
    """Returns the name of the import whose page is open."""
    return page.url.rpartition(".")[2]


def test_a_source_is_checked_and_imported(page: Page, tenant: Tenant, source: Source) -> None:
    page.goto(f"/ui/imports/new?project={tenant.name}")
    page.get_by_label("Source").fill(source.url("shop"))
    page.get_by_role("button", name="Check the source first").click()
    page.get_by_role("heading", name="Preflight: the import can start").wait_for()
    page.get_by_role("button", name="Start the import").click()
    page.locator("#live .state").get_by_text("completed").wait_for()  # the open page changes by itself
    page.get_by_role("heading", name="Verification").wait_for()
    if PICTURE:
        page.screenshot(path=PICTURE)
    assert state_of(kubectl.get(IMPORTS, name_of(page), tenant.name)) == "completed"


def test_a_failed_import_shows_its_error_and_starts_again(page: Page, tenant: Tenant, source: Source) -> None:
    page.goto(f"/ui/imports/new?project={tenant.name}")
    page.get_by_label("Source").fill(source.url("absent"))
    page.get_by_role("button", name="Start the import").click()
    page.get_by_role("heading", name="First error").wait_for()
    first = name_of(page)
    page.get_by_role("button", name="Start it again").click()
    page.wait_for_function(f"!location.pathname.includes('{first}')")
    again = name_of(page)
    page.get_by_role("heading", name="First error").wait_for()
    assert [state_of(kubectl.get(IMPORTS, name, tenant.name)) for name in (first, again)] == ["failed"] * 2


def test_a_dump_file_is_uploaded(page: Page, tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "shop.sql").write_bytes(DUMP)
    page.goto(f"/ui/imports/new?project={tenant.name}")
    page.get_by_label("Or a dump file from this computer").set_input_files(tmp_path / "shop.sql")
    page.get_by_text("Uploaded shop.sql.").wait_for()
    page.get_by_role("button", name="Start the import").click()
    page.locator("#live .state").get_by_text("completed").wait_for()


def test_an_import_is_cancelled(page: Page, tenant: Tenant) -> None:
    name = f"page-{secrets.token_hex(3)}"
    kubectl.create(tenant.import_manifest(name, "absent", "absent"))
    page.goto(f"/ui/imports?project={tenant.name}")
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Cancel the import").click()
    page.locator("#live .state").get_by_text("cancelled").wait_for()
    assert state_of(kubectl.get(IMPORTS, name, tenant.name)) == "cancelled"


def test_previews_are_created_used_and_deleted(page: Page, tenant: Tenant) -> None:
    name = f"page-{secrets.token_hex(3)}"
    page.goto("/ui/previews")
    form = page.locator("form.stack")
    form.get_by_label("Project").select_option(tenant.name)
    form.get_by_label("Name").fill(name)
    form.get_by_role("button", name="Create").click()
    row = page.get_by_role("row", name=name)
    row.get_by_text("ready").wait_for()
    page.get_by_text(f"Actions of {name}").click()
    row.get_by_label("Hours").fill("48")
    send(page, row.get_by_role("button", name="Extend"))
    assert kubectl.get(PREVIEWS, name, tenant.name)["spec"]["ttl"] == "48h"
    page.get_by_text(f"Actions of {name}").click()
    row.get_by_role("button", name="Show the connection").click()
    page.get_by_role("heading", name="Connection").wait_for()
    assert tenant.connection(name)["uri"] in page.content().replace("&amp;", "&")
    page.goto("/ui/previews")
    page.get_by_text(f"Actions of {name}").click()
    send(page, row.get_by_role("button", name="Reset"))
    row.get_by_text("ready").wait_for()
    page.get_by_text(f"Actions of {name}").click()
    row.get_by_label("Name, to confirm").fill(name)
    send(page, row.get_by_role("button", name="Delete"))
    kubectl.wait_until(lambda: kubectl.find(PREVIEWS, name, tenant.name) is None, "it is deleted", READY_SECONDS)


def test_an_answer_that_comes_late_does_not_close_the_actions(page: Page, tenant: Tenant) -> None:
    name = f"page-{secrets.token_hex(3)}"
    kubectl.create(tenant.preview_manifest(name))
    page.goto("/ui/previews")
    page.get_by_role("row", name=name).get_by_text("ready").wait_for()
    held: list[Route] = []
    views = re.compile("/ui/previews[?]project=")
    page.route(views, lambda route: held.append(route), times=1)  # a built-in method cannot be a handler
    with page.expect_request(views):
        page.evaluate("htmx.trigger(document.body, 'changed')")
    page.get_by_text(f"Actions of {name}").click()
    page.get_by_role("row", name=name).get_by_label("Name, to confirm").fill("half a na")
    with page.expect_response(views):
        held[0].continue_()
    page.evaluate("new Promise((done) => setTimeout(done))")  # the answer's own handlers have run
    assert page.get_by_role("row", name=name).get_by_label("Name, to confirm").input_value() == "half a na"
    with page.expect_response(views):  # what changed meanwhile is shown when the actions are closed
        page.get_by_text(f"Actions of {name}").click()
    kubectl.delete(PREVIEWS, name, namespace=tenant.name)


def test_golden_previews_and_schedules_are_shown(page: Page, tenant: Tenant) -> None:
    kubectl.create(tenant.schedule_manifest("on-page", "small", "gold", schedule="0 3 * * *", suspend=True))
    page.goto("/ui/schedules")
    page.get_by_role("row", name="on-page").get_by_text("0 3 * * *").wait_for()
    kubectl.delete("postgresimportschedules", "on-page", namespace=tenant.name)
