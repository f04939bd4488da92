"""The page in a real browser: signing in, live changes, uploads, no script, narrow windows, accessibility."""

import json
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route
from tests.api.conftest import SOURCE, Api, start_import
from tests.api.page.conftest import sign_in
from tests.api.page.page_client import a_condition, a_time

from pgimport.model.names import IMPORTS, PREVIEWS, SCHEDULES

pytestmark = [pytest.mark.thorough, pytest.mark.browser]
VIEWS = ("/imports", "/imports/new", "/previews", "/schedules")
HOSTILE = "<b onmouseover=alert(1)>\x07" + "x" * 10_000
# Resolves `bothEnded` when the second request of a script has ended, in whichever way.
COUNT_ENDS = """
let ended = 0;
window.bothEnded = new Promise((resolve) => {
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (body) {
    this.addEventListener("loadend", () => { if (++ended === 2) resolve(); });
    send.call(this, body);
  };
});
"""
PICTURES = os.environ.get("PGIMPORT_WRITE_PICTURES")  # a folder for a picture of each view


@pytest.fixture(scope="module")
def job_id(job_ids: tuple[str, str]) -> str:
    return job_ids[0]


@pytest.fixture(scope="module")
def job_ids(api: Api) -> tuple[str, str]:
    """A failed import with texts of every kind, a running and two completed ones, a golden preview, a schedule."""
    failed, running = start_import(api), start_import(api)
    for minutes in (4, 9):
        name = start_import(api).partition(".")[2]
        api.set_status(IMPORTS, name, state="completed", startedAt=a_time(minutes=minutes), completedAt=a_time())
    api.set_status(
        IMPORTS,
        failed.partition(".")[2],
        state="failed",
        error=HOSTILE,
        startedAt=a_time(minutes=9),
        completedAt=a_time(minutes=3),
        conditions=[a_condition(reason="SourceRefused", message=HOSTILE)],
        attemptHistory=[{"number": 1, "pod": "p", "podUID": "u", "error": HOSTILE, "lastStderr": "line\n" * 80}],
        skippedObjects=[{"object": "TABLE public.orders", "why": HOSTILE, "group": "refused", "rows": 3}],
        preflight={"checks": [{"name": "source_reachable", "status": "fail", "detail": HOSTILE}]},
    )
    for done in (2, 9, 11, 25):
        progress = {"phase": "data", "percent": 3 * done, "bytesDone": 1000 * done, "bytesTotal": 33_000}
        progress["saidAt"] = a_time(seconds=60 - done)
        api.set_status(IMPORTS, running.partition(".")[2], state="running", progress=progress)
    template = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "s", "key": "url"}},
        "target": {"previewDatabase": "gold"},
    }
    objects: dict[str, dict[str, object]] = {
        PREVIEWS: {"kind": "PreviewDatabase", "spec": {"project": "shop", "golden": True}},
        SCHEDULES: {
            "kind": "PostgresImportSchedule",
            "spec": {"schedule": "0 3 * * *", "importTemplate": template},
        },
    }
    for kind, body in objects.items():
        meta = {"name": "nightly", "namespace": "shop"}
        path = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{kind}"
        api.context.cluster.create(path, {"apiVersion": "capydb.dev/v1alpha1", "metadata": meta, **body})
        api.set_status(kind, "nightly", state="ready", dataAsOf=a_time(hours=7))
    return failed, running


def test_the_browser_keeps_the_session_and_forgets_it(page: Page) -> None:
    for view in VIEWS:
        assert page.goto(f"/ui{view}").status == 200  # type: ignore[union-attr]  # None only for a page without a URL
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in")
    page.goto("/ui/imports")
    page.wait_for_url("**/ui/sign-in")


def test_an_open_page_shows_changes(page: Page, api: Api, job_id: str) -> None:
    page.goto("/ui/imports")
    running = start_import(api)
    page.get_by_role("link", name=running.partition(".")[2]).wait_for()
    progress = {"phase": "indexes", "percent": 77}
    api.set_status(IMPORTS, running.partition(".")[2], state="running", progress=progress)
    page.get_by_text("77 %").wait_for()


def test_changes_wait_until_nobody_uses_the_list(page: Page, api: Api, job_id: str) -> None:
    page.goto("/ui/previews")
    page.get_by_text("Actions of nightly").click()
    with page.expect_event("console", lambda message: message.text == "changed"):
        page.evaluate("new EventSource('/ui/changes').addEventListener('changed', () => console.log('changed'))")
        api.set_status(PREVIEWS, "nightly", state="failed", conditions=[a_condition(reason="x", message="no space")])
    assert page.get_by_text("no space").count() == 0
    page.get_by_text("Actions of nightly").click()  # it keeps the focus
    page.get_by_text("no space").wait_for()
    api.set_status(PREVIEWS, "nightly", state="ready", dataAsOf=a_time(hours=7))


def test_an_opened_attempt_stays_open(page: Page, api: Api) -> None:
    running = start_import(api)
    attempts = [{"number": number, "pod": "p", "podUID": f"{number}", "lastStderr": "why"} for number in (1, 2)]
    api.set_status(IMPORTS, running.partition(".")[2], state="running", attemptHistory=attempts)
    page.goto(f"/ui/imports/{running}")
    page.get_by_text("Attempt 1").click()
    progress = {"phase": "indexes", "percent": 78}
    api.set_status(IMPORTS, running.partition(".")[2], state="running", attemptHistory=attempts, progress=progress)
    page.get_by_text("78 %").wait_for()
    assert page.get_by_text("why").first.is_hidden()
    assert page.get_by_text("why").last.is_visible()


def test_an_open_page_connects_again_after_a_refusal(page: Page) -> None:
    page.clock.install()
    page.route("**/ui/changes?*", lambda route: route.fulfill(status=503))
    with page.expect_response("**/ui/changes?*"):
        page.goto("/ui/imports")
    page.unroute("**/ui/changes?*")
    with page.expect_response("**/ui/changes?*") as answer:
        page.clock.run_for(20_000)
    assert answer.value.status == 200


def test_an_open_page_leads_to_the_sign_in_when_its_session_ends(context: BrowserContext, page: Page) -> None:
    page.goto("/ui/imports")
    context.clear_cookies()
    page.evaluate("htmx.trigger(document.body, 'changed')")
    page.get_by_label("API key").wait_for()
    assert page.url.endswith("/ui/sign-in")


def test_an_import_is_started_and_cancelled(page: Page) -> None:
    page.goto("/ui/imports/new")
    page.get_by_label("Source").fill("ftp://x")
    page.get_by_role("button", name="Start the import").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Source").fill(SOURCE)
    page.get_by_role("button", name="Start the import").click()
    page.get_by_role("button", name="Cancel the import").click()
    page.wait_for_load_state()
    assert page.get_by_role("button", name="Cancel the import").count() == 0


def test_a_failed_upload_says_why(page: Page, tmp_path: Path) -> None:
    """The store of these tests does not answer."""
    page.goto("/ui/imports/new")
    (tmp_path / "shop.dump").write_bytes(b"PGDMP")
    page.get_by_label("Or a dump file from this computer").set_input_files(tmp_path / "shop.dump")
    page.get_by_text("The upload failed:").wait_for()


def test_the_file_that_was_chosen_last_is_imported(page: Page, tmp_path: Path) -> None:
    """The upload of the file that was chosen first ends last."""
    held: list[Route] = []
    places = [json.dumps({"object_key": name, "upload_url": f"/{name}"}) for name in ("second", "first")]
    page.route("**/ui/imports/new/upload", lambda route: route.fulfill(body=places.pop()))
    page.route("**/first", lambda route: held.append(route))  # a built-in method cannot be a handler
    page.route("**/second", lambda route: route.fulfill())
    page.add_init_script(COUNT_ENDS)
    page.goto("/ui/imports/new")
    field = page.get_by_label("Or a dump file from this computer")
    start = page.get_by_role("button", name="Start the import")
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(b"PGDMP")
    with page.expect_request("**/first"):
        field.set_input_files(tmp_path / "first")
    assert start.is_disabled()  # it would end the upload
    field.set_input_files(tmp_path / "second")
    page.get_by_text("Uploaded second.").wait_for()
    assert start.is_enabled()
    held[0].fulfill()
    page.evaluate("bothEnded")
    assert page.locator("[name=upload_key]").input_value() == "second"
    assert page.get_by_text("Uploaded second.").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_view_can_be_used_by_everyone(
    browser: Browser, api: Api, job_ids: tuple[str, str], width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 800}
    url = api.url.replace("127.0.0.1", "localhost")
    context = browser.new_context(base_url=url, viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = sign_in(context, api)
    for name in (*VIEWS, *(f"/imports/{job_id}" for job_id in job_ids)):
        page.goto(f"/ui{name}")
        violations = Axe().run(page).response["violations"]
        assert not [(violation["id"], violation["nodes"][0]["html"][:200]) for violation in violations], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the window"
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name.strip('/').replace('/', '-')[:80]}-{width}-{scheme}.png")
    context.close()


def test_names_and_helps_can_be_read_in_a_narrow_window(page: Page, job_id: str) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto("/ui/imports/new")
    upload, text = (page.locator(part).bounding_box() for part in ("[type=file]", "#upload-help"))
    assert upload is not None
    assert text is not None
    assert upload["y"] + upload["height"] <= text["y"]
    page.goto("/ui/schedules")
    name = page.get_by_role("rowheader", name="nightly").first
    range_of = "const range = document.createRange(); range.selectNodeContents(cell)"
    assert name.evaluate(f"cell => {{ {range_of}; return range.getClientRects().length }}") == 1  # line


def test_without_scripts_every_action_works(browser: Browser, api: Api) -> None:
    context = browser.new_context(base_url=api.url.replace("127.0.0.1", "localhost"), java_script_enabled=False)
    page = sign_in(context, api)
    page.goto("/ui/previews")
    form = page.locator("form.stack")
    form.get_by_label("Name").fill("by-keyboard")
    form.get_by_label("Name").press("Enter")
    page.get_by_text("by-keyboard").first.wait_for()
    page.get_by_text("Actions of by-keyboard").click()
    row = page.get_by_role("row", name="by-keyboard")
    row.get_by_label("Name, to confirm").fill("by-keyboard")
    row.get_by_role("button", name="Delete").click()
    page.wait_for_load_state()
    assert page.get_by_text("by-keyboard").count() == 0
    context.close()


def test_texts_of_sources_run_no_script(page: Page, job_id: str) -> None:
    page.goto(f"/ui/imports/{job_id}")
    assert page.locator("[onmouseover]").count() == 0
    assert page.get_by_text("<b onmouseover=alert(1)>\\x07").first.is_visible()


def test_a_link_in_another_site_opens_the_view_with_and_without_a_session(
    context: BrowserContext, api: Api, job_id: str
) -> None:
    sign_in(context, api).close()
    page, link = context.new_page(), f"{api.url.replace('127.0.0.1', 'localhost')}/ui/imports/{job_id}?from=chat"
    for signed_in in (True, False):
        page.goto(f"{api.url}/ui/sign-in")  # 127.0.0.1 is another site than localhost
        with page.expect_navigation(url="**/imports/*" if signed_in else "**/sign-in?next=*"):
            page.evaluate("(link) => { location.href = link; }", link)
        if signed_in:
            page.get_by_role("heading", name="First error").wait_for()
            context.clear_cookies()
    page.get_by_label("API key").fill(api.keys["all"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(link)
    page.get_by_role("heading", name="First error").wait_for()
