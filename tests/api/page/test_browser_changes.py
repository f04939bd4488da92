"""Open pages that change while somebody uses them. The stream of events is a stand-in: the test says when it sends."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route
from tests.api.conftest import Api, start_import
from tests.api.page.page_client import a_condition

from pgimport.api.page.rendering import render
from pgimport.model.names import IMPORTS

pytestmark = [pytest.mark.thorough, pytest.mark.browser]
STREAM = """
window.EventSource = class {
  constructor() { window.stream = this; }
  addEventListener(type, listener) { this[type] = listener; }
  close() {}
};
"""
CHANGED = "stream.changed()"
SELECT = "getSelection().selectAllChildren(document.querySelector('#message'))"


@pytest.fixture
def name(api: Api, page: Page) -> str:
    """Opens the page of a running import."""
    job_id = start_import(api)
    name = job_id.partition(".")[2]
    show_progress(api, name, 10)
    page.add_init_script(STREAM)
    page.goto(f"/ui/imports/{job_id}")
    return name


def show_progress(api: Api, name: str, percent: int, phase: str = "data", attempts: int = 2) -> None:
    api.set_status(
        IMPORTS,
        name,
        state="running",
        progress={"phase": phase, "percent": percent},
        conditions=[a_condition(reason="Running", message="the worker copies rows")],
        attemptHistory=[
            {"number": number, "pod": "p", "podUID": f"{number}", "error": "lost", "lastStderr": "line\n" * 80}
            for number in range(1, attempts + 1)
        ],
    )


def press_key(page: Page) -> None:
    page.keyboard.down("Shift")


def release_key(page: Page) -> None:
    page.keyboard.up("Shift")


def press_button(page: Page) -> None:
    page.get_by_role("heading", name="Facts").hover()
    page.mouse.down()


def release_button(page: Page) -> None:
    page.mouse.up()


def select_text(page: Page) -> None:
    page.evaluate(SELECT)


def select_nothing(page: Page) -> None:
    page.evaluate("getSelection().empty()")


@pytest.mark.parametrize(
    ("begin", "end"),
    [(press_key, release_key), (press_button, release_button), (select_text, select_nothing)],
    ids=["key", "click", "selection"],
)
def test_a_change_waits_until_somebody_has_finished(
    api: Api, page: Page, name: str, begin: Callable[[Page], None], end: Callable[[Page], None]
) -> None:
    show_progress(api, name, 20)
    begin(page)
    assert page.evaluate(f"() => {{ {CHANGED}; return document.querySelectorAll('.htmx-request').length }}") == 0
    end(page)
    page.get_by_text("20 %").wait_for()


def test_focus_scrolling_and_closed_attempts_stay(api: Api, page: Page, name: str) -> None:
    page.locator("#output-2-2").evaluate("element => { element.scrollTop = 50 }")
    page.get_by_text("Attempt 1").click()
    page.locator("#output-1-2").evaluate("element => { element.scrollTop = 70 }")
    page.locator("#summary-2").click()
    page.get_by_role("button", name="Cancel the import").focus()
    show_progress(api, name, 20)
    page.evaluate(CHANGED)
    page.get_by_text("20 %").wait_for()
    assert page.locator("details[open]").evaluate_all("list => list.map(element => element.id)") == ["attempt-1"]
    assert page.locator("#output-1-2").evaluate("element => element.scrollTop") == 70
    assert page.evaluate("document.activeElement.id") == "cancel"


def test_a_print_has_whole_texts_and_no_buttons(page: Page, name: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("#output-2-2").evaluate("element => element.scrollHeight == element.clientHeight")
    assert page.get_by_role("button").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 35, 48)"


def test_a_change_that_comes_while_the_view_is_loaded_is_shown(api: Api, page: Page, name: str) -> None:
    def answer_late(route: Route) -> None:
        response = route.fetch()
        show_progress(api, name, 30)
        page.evaluate(CHANGED)
        route.fulfill(response=response)

    show_progress(api, name, 20)
    page.route("**/ui/imports/*", answer_late, times=1)
    page.evaluate(CHANGED)
    page.get_by_text("30 %").wait_for()


def test_a_view_that_cannot_be_loaded_is_loaded_again(api: Api, page: Page, name: str) -> None:
    page.clock.install()
    page.reload()
    show_progress(api, name, 20)
    page.route("**/ui/imports/*", lambda route: route.fulfill(status=503), times=1)
    with page.expect_response("**/ui/imports/*"):
        page.evaluate(CHANGED)
    page.clock.run_for(20_000)
    page.get_by_text("20 %").wait_for()


@pytest.mark.parametrize("cause", ["the import was deleted", "the view needs another script"])
def test_a_view_that_cannot_be_swapped_is_opened_again(page: Page, name: str, cause: str) -> None:
    def change(route: Route) -> None:
        response = route.fetch()
        text = response.text().replace('data-release="', 'data-release="other')
        route.fulfill(response=response, status=404 if "deleted" in cause else 200, body=text)

    page.route("**/ui/imports/*", change, times=1)
    with page.expect_event("load"):
        page.evaluate(CHANGED)


def test_a_screen_reader_learns_of_the_next_phase(api: Api, page: Page, name: str) -> None:
    for percent, phase, text in ((20, "data", ""), (30, "indexes", f"{name}: running indexes")):
        show_progress(api, name, percent, phase)
        page.evaluate(CHANGED)
        page.get_by_text(f"{percent} %").wait_for()
        assert page.get_by_role("status").text_content() == text


def test_a_form_is_sent_once(page: Page) -> None:
    page.goto("/ui/imports/new")
    send = "document.forms['new-import'].dispatchEvent(new SubmitEvent('submit', {bubbles: true, cancelable: true}))"
    assert page.evaluate(f"[{send}, {send}]") == [True, False]


def test_a_password_does_not_come_back(page: Page) -> None:
    fields = {"host": "h", "port": 1, "database": "d", "user": "u", "password": "hush-hush", "url": "hush-hush"}
    text = render("connection.html", {"title": "Connection", "name": "shop.x", "connection": fields}).body
    page.route("**/ui/connection", lambda route: route.fulfill(body=bytes(text), content_type="text/html"))
    page.goto("/ui/connection")
    assert page.get_by_text("hush-hush").count() == 2
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    assert page.get_by_text("hush-hush").count() == 0
