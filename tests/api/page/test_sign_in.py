"""Signing in and out, and requests of other sites."""

import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests.api.conftest import Api, a_session
from tests.api.page.page_client import PageClient

from pgimport.api.page.session_cookie import COOKIE, LIFETIME, seal, unseal

SECRET = secrets.token_bytes(32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_sealed_session_is_read_until_its_end() -> None:
    value = seal("capy_live_1", SECRET, NOW)
    assert "capy" not in value
    assert unseal(value, SECRET, NOW) == "capy_live_1"
    assert unseal(value, SECRET, NOW + LIFETIME - timedelta(seconds=1)) == "capy_live_1"
    assert unseal(value, SECRET, NOW + LIFETIME) is None


@pytest.mark.parametrize("value", ["", "x", "é", "AAAA", "A" * 400])
def test_a_foreign_cookie_is_no_session(value: str) -> None:
    assert unseal(value, SECRET, NOW) is None
    assert unseal(seal("key", secrets.token_bytes(32), NOW), SECRET, NOW) is None


def test_the_cookie_is_for_this_origin_and_not_for_scripts(api: Api) -> None:
    answer = PageClient(api, None).post("/sign-in", key=api.keys["all"])
    attributes = answer.headers["set-cookie"].lower().split("; ")
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(attributes)
    assert not [attribute for attribute in attributes if attribute.startswith("domain")]
    assert answer.headers["location"] == "/ui/imports"


@pytest.mark.parametrize("key", ["", "capy_live_wrong", "expired"])
def test_a_wrong_key_is_refused_and_not_shown(api: Api, key: str) -> None:
    text = api.keys.get(key, key)
    answer = PageClient(api, None).post("/sign-in", key=text)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert not text or text not in answer.text


def test_pages_without_a_session_lead_to_the_sign_in(api: Api) -> None:
    for path in ("/", "/imports"):
        answer = PageClient(api, None).get(path)
        assert (answer.status_code, answer.headers["location"]) in ((303, "/ui/sign-in"), (303, "/ui/imports")), path
    for path in ("/imports/shop.x", "/previews?project=a%26b", "/schedules", "/changes"):
        answer = PageClient(api, None).get(path)
        location = urlsplit(answer.headers["location"])
        assert (answer.status_code, location.path, parse_qs(location.query)) == (
            303,
            "/ui/sign-in",
            {"next": [f"/ui{path}"]},
        )


def test_the_sign_in_leads_to_the_view_that_was_wanted(api: Api) -> None:
    page = PageClient(api, None)
    location = page.get("/previews?project=shop").headers["location"]
    shown = page.get(location.removeprefix("/ui"))
    assert 'name="next" value="/ui/previews?project=shop"' in shown.text
    refused = page.post("/sign-in", key="wrong", next="/ui/previews?project=shop")
    assert 'name="next" value="/ui/previews?project=shop"' in refused.text
    signed_in = page.post("/sign-in", key=api.keys["all"], next="/ui/previews?project=shop")
    assert signed_in.headers["location"] == "/ui/previews?project=shop"


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/ui/",
        "https://evil.example/",
        "/v1/x",
        "/uix",
        "\\\\evil.example",
        "http://[x",
        "/ui/" + 2000 * "x",
    ],
)
def test_the_sign_in_leads_to_no_other_site(api: Api, target: str) -> None:
    page = PageClient(api, None)
    assert page.post("/sign-in", key=api.keys["all"], next=target).headers["location"] in ("/ui/imports", "/ui/")
    assert "evil" not in page.get(f"/sign-in?{urlencode({'next': target})}").text


def test_a_link_of_another_site_is_opened_once_more_because_the_browser_left_the_cookie_out(api: Api) -> None:
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = PageClient(api, None).get("/imports/shop.x?a=1&b=2", **sent)
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/ui/imports/shop.x?a=1&amp;b=2"' in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_script_without_a_session_opens_the_sign_in(api: Api) -> None:
    """A redirect would put the sign-in in the place of the list, which it does not have."""
    answer = PageClient(api, None).get("/imports", **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/ui/sign-in")
    sent = {"HX-Request": "true", "HX-Current-URL": f"{api.url}/ui/imports/shop.x"}
    answer = PageClient(api, None).get("/imports/shop.x", **sent)
    assert answer.headers["hx-redirect"] == "/ui/sign-in?next=%2Fui%2Fimports%2Fshop.x"


def test_a_session_of_clerk_is_accepted(api: Api) -> None:
    assert PageClient(api, None).get("/imports", Cookie=f"__session={a_session()}").status_code == 200


@pytest.mark.parametrize("key", ["expired", "capy_live_wrong"])
def test_a_key_that_is_no_longer_valid_does_not_hide_a_session_of_clerk(api: Api, key: str) -> None:
    cookie = f"{COOKIE}={seal(api.keys.get(key, key), api.context.secret, datetime.now(UTC))}"
    page = PageClient(api, None)
    assert page.get("/imports", Cookie=f"{cookie}; __session={a_session()}").status_code == 200
    assert page.get("/imports", Cookie=cookie).headers["location"] == "/ui/sign-in"


def test_signing_out_removes_the_cookie(api: Api) -> None:
    answer = PageClient(api).post("/sign-out")
    assert "max-age=0" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=str,
)
def test_a_form_of_another_site_is_refused(api: Api, headers: dict[str, str]) -> None:
    answer = PageClient(api).post("/imports/new", headers=headers, project="shop")
    assert answer.status_code == 403
    assert "another site" in answer.text


def test_a_browser_without_fetch_metadata_sends_the_origin(api: Api) -> None:
    answer = PageClient(api).post("/sign-out", headers={"Origin": api.url})
    assert answer.status_code == 303


def test_nothing_of_another_origin_may_be_loaded(api: Api) -> None:
    for path in ("/sign-in", "/imports", "/previews", "/schedules", "/imports/new"):
        answer = PageClient(api).get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert " style=" not in answer.text
        assert "onclick" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_a_page_over_plain_http_says_that_the_session_needs_https(api: Api) -> None:
    assert "Open it with https://" not in PageClient(api, None).get("/sign-in").text
    assert "Open it with https://" in PageClient(api, None).get("/sign-in", Host="pgimport.example.com").text


def test_a_proxy_that_is_not_trusted_does_not_make_https_look_like_http(api: Api) -> None:
    sent = {"Host": "pgimport.example.com", "Sec-Fetch-Site": "none"}
    assert "Open it with https://" not in PageClient(api, None).get("/sign-in", **sent).text
