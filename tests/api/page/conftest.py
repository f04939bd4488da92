"""Fixtures that open the page in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from tests.api.conftest import Api
from tests.support.browser import run_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as running:
        yield running


@pytest.fixture
def context(browser: Browser, api: Api) -> Iterator[BrowserContext]:
    opened = browser.new_context(base_url=api.url.replace("127.0.0.1", "localhost"))
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, api: Api) -> Iterator[Page]:
    page, problems = sign_in(context, api), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None)
    yield page
    assert not problems


def sign_in(context: BrowserContext, api: Api) -> Page:
    page = context.new_page()
    page.goto("/ui/")
    page.get_by_label("API key").fill(api.keys["all"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/ui/imports")
    return page
