"""A client of the page that keeps its cookie, as a browser on localhost does, and parts of statuses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from tests.api.conftest import Api

from pgimport.api.page.session_cookie import COOKIE

NOW = datetime.now(UTC)
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def a_time(**ago: float) -> str:
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_condition(**changes: Any) -> dict[str, Any]:
    return {"type": "Ready", "status": "False", "lastTransitionTime": a_time(), **changes}


class PageClient:
    """Sends forms and follows no redirect."""

    def __init__(self, api: Api, key: str | None = "all") -> None:
        """`key`: the name of an API key of the tests, with which the client signs in; None: it does not."""
        self.api, self.cookie = api, ""
        if key is not None:
            answer = self.post("/sign-in", key=api.keys[key])
            assert answer.status_code == 303, answer.text
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
            assert self.cookie.startswith(f"{COOKIE}=")

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.api.client.get(f"/ui{path}", headers={"Cookie": self.cookie, **headers})

    def post(self, path: str, headers: dict[str, str] | None = None, **form: Any) -> httpx.Response:
        sent = {"Cookie": self.cookie, **(SAME_ORIGIN if headers is None else headers)}
        return self.api.client.post(f"/ui{path}", data=form, headers=sent)
