"""Every view and action of the page, without a browser."""

import asyncio
import json
import re
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.api.changed_projects import changed_project
from tests.api.conftest import SOURCE, Api, serve, start_import
from tests.api.page.page_client import SAME_ORIGIN, PageClient, a_condition, a_time

from pgimport.api.app import build_app
from pgimport.api.page import project_objects, rendering
from pgimport.api.request_limits import RequestLimit
from pgimport.kubernetes_client import json_cache
from pgimport.kubernetes_client.custom_resources import parse_project
from pgimport.model.names import IMPORTS, PREVIEWS, SCHEDULES

MARKUP = "<img src=x onerror=alert(1)>\x1b[31m"
COPY_OF_GOLD: dict[str, Any] = {"from": "shop.gold"}


@pytest.fixture
def page(api: Api) -> PageClient:
    return PageClient(api)


def test_a_running_import_shows_its_progress(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    progress = {"phase": "data", "percent": 42, "bytesDone": 1024, "bytesTotal": 4096, "bytesPerSecond": 2048}
    api.set_status(IMPORTS, job_id.partition(".")[2], state="running", progress={**progress, "etaSeconds": 61})
    for path in ("/imports", f"/imports/{job_id}"):
        text = page.get(path).text
        assert all(part in text for part in ('value="42"', "2.0 KiB/s", "1m 1s", "running")), text


def test_no_rate_is_shown_before_the_first_byte(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    name = job_id.partition(".")[2]
    api.set_status(IMPORTS, name, state="running", progress={"phase": "preflight", "percent": 1, "bytesPerSecond": 0})
    assert "B/s" not in page.get(f"/imports/{job_id}").text


@pytest.mark.parametrize(
    ("condition", "lost_at", "shown"),
    [
        ({"status": "True", "reason": "Ready"}, None, False),
        ({"status": "True", "reason": "Ready"}, a_time(), True),
        ({"status": "Unknown", "reason": "Pending"}, None, True),
    ],
    ids=["ready", "its content was lost", "a reset waits"],
)
def test_a_ready_preview_says_what_is_not_as_usual(
    api: Api, page: PageClient, condition: dict[str, str], lost_at: str | None, shown: bool
) -> None:
    name = f"odd-{condition['status'].lower()}-{shown}".lower()
    assert page.post("/previews", project="shop", name=name).status_code == 303
    message = a_condition(message=f"about {name}", **condition)
    lost = {"databaseLostAt": lost_at} if lost_at else {}
    api.set_status(PREVIEWS, name, state="ready", conditions=[message], **lost)
    assert (f"about {name}" in page.get("/previews").text) == shown


def test_a_dry_run_has_one_phase_and_may_complete_with_failed_checks(api: Api, page: PageClient) -> None:
    job_id = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE, "dry_run": True}).json()["job"][
        "id"
    ]
    for ok in (True, False):
        api.set_status(IMPORTS, job_id.partition(".")[2], state="completed", preflight={"ok": ok, "checks": []})
        texts = [page.get(path).text for path in (f"/imports/{job_id}", "/imports")]
        assert re.findall('<li class="(done|open)"', texts[0]) == ["done"]
        assert ["checks failed" in text for text in texts] == [not ok] * 2


def test_a_copy_that_was_not_compared_is_not_said_to_differ(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    for verification, expected, absent in (
        ({"mode": "none", "verified": False}, "Nothing was compared", "differs"),
        ({"mode": "counts", "verified": True, "tables": 1, "rows": 2}, "is equal: 1 table, 2 rows, 0 seq", "differs"),
        (
            {"mode": "counts", "differences": [{"table": "a.b", "sourceRows": 1, "targetRows": 0}, {"table": "c"}]},
            "<li>a.b: 1 row at the source, 0 rows in the copy</li><li>c: an unknown number of rows at",
            "is equal",
        ),
        (
            {"mode": "checksums", "differences": [{"table": "a.b", "sourceRows": 1, "targetRows": 1}]},
            "<li>a.b: 1 row on both sides, but not the same ones</li>",
            "is equal",
        ),
    ):
        api.set_status(IMPORTS, job_id.partition(".")[2], state="failed", verification=verification)
        text = page.get(f"/imports/{job_id}").text
        assert expected in text
        assert absent not in text


def test_attempts_that_do_not_count_are_told_apart(api: Api, page: PageClient) -> None:
    """A list that somebody opened stays open in the next view by its id."""
    job_id = start_import(api)
    attempts = [
        {"number": number, "pod": "p", "podUID": uid, "reason": reason, "error": "x", "lastStdout": "x"}
        for number, uid, reason in ((0, "a", "Disrupted"), (0, "b", "Preempted"), (1, "c", "SourceLocked"))
    ]
    api.set_status(IMPORTS, job_id.partition(".")[2], state="running", attemptHistory=attempts)
    text = page.get(f"/imports/{job_id}").text
    assert "Attempt that does not count: Disrupted<" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert sorted(ids) == sorted(set(ids))


def test_texts_of_sources_are_no_markup(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    attempt = {"number": 1, "pod": "p", "podUID": "u", "error": MARKUP, "hint": MARKUP, "lastStderr": MARKUP}
    api.set_status(
        IMPORTS,
        job_id.partition(".")[2],
        state="failed",
        error=MARKUP,
        attemptHistory=[attempt],
        conditions=[a_condition(reason="SourceRefused", message=MARKUP)],
        skippedObjects=[{"object": MARKUP, "why": MARKUP, "group": "refused"}],
        preflight={"checks": [{"name": "source_reachable", "status": "fail", "detail": MARKUP}]},
    )
    text = page.get(f"/imports/{job_id}").text
    assert "<img" not in text
    assert "\x1b" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;\\x1b[31m") == 8


def test_imports_can_be_filtered(api: Api, page: PageClient) -> None:
    shop, mall = start_import(api), start_import(api, "mall")
    api.set_status(IMPORTS, mall.partition(".")[2], "mall", state="failed")
    text = page.get("/imports?project=mall&state=failed").text
    assert mall in text
    assert shop not in text


def test_projects_of_others_are_not_parsed(api: Api, page: PageClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of changes reads the Projects in the event loop, where others wait."""
    parsed: list[str] = []

    def parse(body: Any) -> Any:
        parsed.append(body["metadata"]["name"])
        return parse_project(body)

    monkeypatch.setattr(project_objects, "parse_project", parse)
    for path in ("/imports", "/imports/new", "/previews", "/schedules"):
        parsed.clear()
        assert page.get(path).status_code == 200
        assert sorted(parsed) == ["mall", "shop"]  # and each only once


def test_a_list_parses_only_the_imports_that_have_the_state(
    api: Api, page: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_import(api)
    api.set_status(IMPORTS, start_import(api).partition(".")[2], state="suspended")
    parsed: list[str] = []

    def parse(text: bytes) -> Any:
        body = json.loads(text)
        parsed.append(body["kind"])
        return body

    monkeypatch.setattr(json_cache, "json", SimpleNamespace(loads=parse, dumps=json.dumps))
    assert page.get("/imports?project=shop&state=suspended").status_code == 200
    assert parsed.count("PostgresImport") == 1


@pytest.mark.parametrize("key", ["foreign", "of-other-project"])
def test_other_organizations_and_projects_see_nothing(api: Api, key: str) -> None:
    job_id = start_import(api)
    page = PageClient(api, key)
    assert job_id not in page.get("/imports").text
    assert page.get(f"/imports/{job_id}").status_code == 404
    assert page.post(f"/imports/{job_id}/cancel").status_code == 404


def test_a_key_that_only_reads_changes_nothing(api: Api) -> None:
    job_id = start_import(api)
    page = PageClient(api, "reads")
    assert page.get(f"/imports/{job_id}").status_code == 200
    assert page.post(f"/imports/{job_id}/cancel").status_code == 403
    assert page.post("/previews", project="shop").status_code == 403


def test_a_key_that_only_reads_is_offered_no_change(api: Api) -> None:
    job = start_import(api)
    assert PageClient(api).post("/previews", project="shop", name="read-only").status_code == 303
    for key, offered in (("all", True), ("reads", False)):
        page = PageClient(api, key)
        texts = [page.get(path).text for path in ("/imports", f"/imports/{job}", "/previews")]
        parts = ("/ui/imports/new", f"/ui/imports/{job}/cancel", '<form method="post" action="/ui/previews"')
        assert [part in text for part, text in zip(parts, texts, strict=True)] == [offered] * 3
        assert ("/delete" in texts[2]) is offered


@pytest.mark.parametrize(
    ("fields", "text"), [({}, "enter a source, or"), ({"source_url": SOURCE, "upload_key": "shop/x"}, "not both")]
)
def test_a_form_without_exactly_one_source_is_refused_in_words_of_the_page(
    page: PageClient, fields: dict[str, Any], text: str
) -> None:
    answer = page.post("/imports/new", project="shop", **fields)
    assert answer.status_code == 400
    assert text in answer.text
    assert "upload_key must" not in answer.text


def test_an_import_is_started_from_a_form(api: Api, page: PageClient) -> None:
    answer = page.post("/imports/new", project="shop", source_url=SOURCE, recreate="on")
    assert answer.status_code == 303, answer.text
    name = answer.headers["location"].rpartition(".")[2]
    assert api.read(IMPORTS, name)["spec"]["recreate"] is True


def test_a_refused_form_keeps_its_fields(page: PageClient) -> None:
    answer = page.post("/imports/new", project="shop", source_url="mysql://db.example.com/x")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="mysql://db.example.com/x"' in answer.text


def test_an_import_can_fill_a_preview_of_each_project(api: Api, page: PageClient) -> None:
    for project in ("shop", "mall"):
        assert page.post("/previews", project=project, name=f"of-{project}").status_code == 303
    text = page.get("/imports/new").text
    assert all(f'value="{project}.of-{project}"' in text for project in ("shop", "mall"))
    fields: dict[str, Any] = {"source_url": SOURCE, "preview_database_id": "mall.of-mall"}
    answer = page.post("/imports/new", project="shop", **fields)
    assert answer.status_code == 400
    assert "the target is in the project mall" in answer.text
    assert page.post("/imports/new", project="mall", **fields).status_code == 303


def test_an_import_is_cancelled_and_started_again(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    name = job_id.partition(".")[2]
    assert page.post(f"/imports/{job_id}/retry").status_code == 409
    assert page.post(f"/imports/{job_id}/cancel").status_code == 303
    assert api.read(IMPORTS, name)["spec"]["cancel"] is True
    api.set_status(IMPORTS, name, state="cancelled")
    again = page.post(f"/imports/{job_id}/retry").headers["location"].rpartition(".")[2]
    old, new = api.read(IMPORTS, name)["spec"], api.read(IMPORTS, again)["spec"]
    assert "cancel" not in new
    assert new == {field: value for field, value in old.items() if field != "cancel"}


def test_a_preview_is_created_extended_reset_and_deleted(api: Api, page: PageClient) -> None:
    assert page.post("/previews", project="shop", name="from-page", ttl_hours="5").status_code == 303
    assert api.read(PREVIEWS, "from-page")["spec"]["ttl"] == "5h"
    assert "from-page" in page.get("/previews").text
    assert page.post("/previews/shop.from-page/extend", ttl_hours="9").status_code == 303
    assert api.read(PREVIEWS, "from-page")["spec"]["ttl"] == "9h"
    assert page.post("/previews/shop.from-page/reset").status_code == 303
    assert "resetAt" in api.read(PREVIEWS, "from-page")["spec"]
    assert page.post("/previews/shop.from-page/delete", name="other").status_code == 400
    assert page.post("/previews/shop.from-page/delete", name="from-page").status_code == 303
    assert "from-page" not in page.get("/previews").text


def test_an_expired_preview_gets_a_new_database_on_the_page(api: Api, page: PageClient) -> None:
    assert page.post("/previews", project="shop", name="past").status_code == 303
    api.set_status(PREVIEWS, "past", state="expired")
    shown = page.get("/previews").text
    assert ("Get a new, empty database" in shown, "/previews/shop.past/reset" in shown) == (True, False)
    assert 'value="shop.past"' not in page.get("/imports/new").text  # an import would wait for its database
    assert page.post("/previews/shop.past/extend", ttl_hours="9").status_code == 303
    assert page.post("/previews/shop.past/delete", name="past").status_code == 303


@pytest.mark.parametrize("hours", ["0", "169", "x", "1e9", "9" * 5000], ids=lambda text: text[:9])
def test_hours_follow_the_rules_of_the_api(page: PageClient, hours: str) -> None:
    answer = page.post("/previews", project="shop", ttl_hours=hours)
    assert answer.status_code == 400
    assert "ttl_hours" in answer.text


def test_a_golden_preview_is_copied(api: Api, page: PageClient) -> None:
    assert page.post("/previews", project="shop", name="gold", golden="on", ttl_hours="24").status_code == 303
    api.set_status(PREVIEWS, "gold", state="ready", dataAsOf=a_time(hours=3))
    assert "3h" in page.get("/schedules").text
    assert page.post("/previews", project="shop", name="copy", **COPY_OF_GOLD).status_code == 303
    spec = api.read(PREVIEWS, "copy")["spec"]
    assert (spec["mode"], spec["from"]) == ("clone", {"previewDatabase": "gold"})
    assert page.post("/previews", project="mall", **COPY_OF_GOLD).status_code == 409
    assert page.post("/previews/shop.gold/connection").status_code == 409


def test_copies_and_retries_keep_the_limits_of_the_project(api: Api, page: PageClient) -> None:
    copy: dict[str, Any] = {"from": "shop.gilded"}
    assert page.post("/previews", project="shop", name="gilded", golden="on").status_code == 303
    tried = api.call("POST", "/projects/shop/imports", json={"source_url": SOURCE, "dry_run": True}).json()["job"]["id"]
    job_id = start_import(api)
    for failed in (tried, job_id):
        api.set_status(IMPORTS, failed.partition(".")[2], state="failed")
    with changed_project(api, "shop", limits={"maxPreviews": 1}):
        answer = page.post("/previews", project="shop", **copy)
        assert (answer.status_code, "limits.maxPreviews" in answer.text) == (409, True)
    with changed_project(api, "shop", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}):
        assert page.post("/previews", project="shop", **copy).status_code == 409
        assert page.post(f"/imports/{job_id}/retry").status_code == 409
    with serve(replace(api.context, max_dry_runs=0)) as url:
        headers = {"Cookie": page.cookie, **SAME_ORIGIN}
        statuses = [httpx.post(f"{url}/ui/imports/{failed}/retry", headers=headers) for failed in (tried, job_id)]
        assert [answer.status_code for answer in statuses] == [429, 303]


def test_the_button_says_what_a_reset_does(api: Api, page: PageClient) -> None:
    for name, fields in (("gold", {"golden": "on"}), ("copied", COPY_OF_GOLD)):
        page.post("/previews", project="shop", name=name, **fields)
        api.set_status(PREVIEWS, name, state="ready")
    text = page.get("/previews").text
    button = '/ui/previews/shop.{}/reset"><button class="danger">Reset: drop its data{}</button>'
    assert button.format("gold", "") in text
    assert button.format("copied", ", and copy again") in text


def test_the_report_is_named_where_the_page_shows_only_a_part(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    skipped = [{"object": "table a", "reason": "refused"}]
    api.set_status(IMPORTS, job_id.partition(".")[2], state="completed", skipped=2, skippedObjects=skipped)
    assert f"/v1/jobs/{job_id}/report" in page.get(f"/imports/{job_id}").text


def test_a_schedule_belongs_to_the_project_of_its_imports(api: Api, page: PageClient) -> None:
    template = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "s", "key": "url"}},
        "target": {"previewDatabase": "gold"},
    }
    meta = {"name": "nightly", "namespace": "shop"}
    body = {"kind": "PostgresImportSchedule", "spec": {"schedule": "0 3 * * *", "importTemplate": template}}
    path = f"/apis/capydb.dev/v1alpha1/namespaces/shop/{SCHEDULES}"
    api.context.cluster.create(path, {"apiVersion": "capydb.dev/v1alpha1", "metadata": meta, **body})
    api.set_status(SCHEDULES, "nightly", updatedAt=a_time())
    assert "0 3 * * *" in page.get("/schedules").text
    assert "nightly" not in PageClient(api, "foreign").get("/schedules").text
    invalid = {"metadata": {**meta, "name": "broken"}, "spec": {"importTemplate": template}}
    api.context.cluster.create(path, {**body, "apiVersion": "capydb.dev/v1alpha1", **invalid})
    api.set_status(SCHEDULES, "broken", updatedAt=a_time())
    assert "spec.schedule" in page.get("/schedules").text


def test_ended_imports_are_plotted(api: Api, page: PageClient) -> None:
    for seconds in (30, 90):
        name = start_import(api, "mall").partition(".")[2]
        times = {"startedAt": a_time(seconds=seconds + 10), "completedAt": a_time(seconds=10)}
        api.set_status(IMPORTS, name, "mall", state="completed", **times)
    text = page.get("/imports?project=mall&state=completed").text
    assert text.count("<rect") == 2
    assert text.count("completed after 1m 30s") == 2  # at the bar, and in the list for people who see no bars


def test_a_running_import_is_plotted_over_time(api: Api, page: PageClient) -> None:
    job_id = start_import(api)
    progress = {"phase": "data", "percent": 10, "bytesDone": 1024, "saidAt": a_time(seconds=20)}
    api.set_status(IMPORTS, job_id.partition(".")[2], state="running", progress=progress)
    assert "<svg" not in page.get(f"/imports/{job_id}").text
    progress |= {"percent": 20, "bytesDone": 4096, "saidAt": a_time(seconds=10)}
    api.set_status(IMPORTS, job_id.partition(".")[2], state="running", progress=progress)
    text = page.get(f"/imports/{job_id}").text
    assert 'points="0.0,108.0 600.0,96.0"' in text
    assert text.count("<polyline") == 2


def test_the_ages_of_golden_data_are_plotted(api: Api, page: PageClient) -> None:
    for name, hours in (("old", 800), ("new", 200)):
        assert page.post("/previews", project="mall", name=name, golden="on").status_code == 303
        api.set_status(PREVIEWS, name, "mall", state="ready", dataAsOf=a_time(hours=hours))
    text = page.get("/schedules").text
    assert all(f'<rect width="{length}" height="8"/>' in text for length in ("100.0", "25.0"))


def test_unknown_pages_are_pages(page: PageClient) -> None:
    answer = page.get("/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no such page" in answer.text
    assert page.get("/static/../page.py").status_code == 404


def test_a_cache_never_mixes_files_of_two_releases(page: PageClient) -> None:
    text = page.get("/imports").text
    urls = re.findall(r'"/ui(/static/[^"]+)"', text)
    assert len(urls) == len(rendering.STATIC_FILES)
    for url in urls:
        assert "immutable" in page.get(url).headers["cache-control"]
        assert page.get(url[:-1] + "x").headers["cache-control"] == "no-store"


def test_an_upload_begins_in_the_project(page: PageClient) -> None:
    body = page.post("/imports/new/upload", project="shop").json()
    assert body["object_key"].startswith("shop/") or "shop" in body["object_key"]
    assert page.post("/imports/new/upload", project="den").status_code == 404
    assert "http://127.0.0.1:9" in page.get("/imports/new").headers["content-security-policy"]


def test_open_pages_learn_of_changes(api: Api, page: PageClient) -> None:
    headers = {"Cookie": page.cookie}
    with api.client.stream("GET", "/ui/changes", headers=headers, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 3000"
        assert "event: changed" in lines  # the view of this client has seen nothing yet
        start_import(api)
        assert "event: changed" in lines


def test_open_pages_do_not_delay_the_stop_of_the_api(api: Api, page: PageClient) -> None:
    with ExitStack() as server:
        url = server.enter_context(serve(api.context))
        with httpx.stream("GET", f"{url}/ui/changes", headers={"Cookie": page.cookie}) as stream:
            lines = stream.iter_lines()
            assert "event: changed" in lines
            server.close()
            list(lines)  # raises an error if the response is not complete


def test_a_browser_that_leaves_at_once_holds_no_stream(api: Api, page: PageClient) -> None:
    """The server learns that the browser has left before the stream has sent its first byte."""
    headers = [(b"host", b"localhost"), (b"cookie", page.cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": "/ui/changes", "headers": headers, "query_string": b""}
    scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "client": ("127.0.0.1", 1)}
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))
        await asyncio.sleep(0)  # as if the browser had not read an earlier response yet

    async def leave_often() -> None:
        app = build_app(replace(api.context, page_stream_limit=RequestLimit("open pages", 2, 2)))
        for _ in range(3):
            await app({**scope, "asgi": {"version": "3.0", "spec_version": "2.3"}}, receive, send)

    asyncio.run(leave_often())
    assert 429 not in statuses
