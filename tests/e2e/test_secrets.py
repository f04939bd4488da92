"""Tests that no password is outside of its Secret, while imports run and after one has failed.

Searches objects, events, logs, and the arguments and environments of processes.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from tests.e2e.postgres_pods import ADMIN_SECRET, SYSTEM_NAMESPACE, Source
from tests.e2e.process_watch import watched_processes
from tests.e2e.tenant import IMPORTS, Tenant, read_secret, state_of
from tests.support import kubectl

from pgimport.model.names import LABEL_IMPORT_UID, attempt_password

pytestmark = pytest.mark.cluster

WRONG_PASSWORD = "wrong-9c1be8f07a"


@dataclass
class Observed:
    """Everything that was read from the cluster during three imports, and the secrets that must not be in it."""

    secrets: dict[str, bytes] = field(default_factory=dict)  # description → the secret
    objects: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    processes: set[bytes] = field(default_factory=set)


def _forms(secret: bytes) -> Iterable[bytes]:
    """Yields a secret as it is, and as it is encoded in a Secret's data, a URL, JSON and hexadecimal."""
    text = secret.decode(errors="surrogateescape")
    yield from {
        secret,
        base64.b64encode(secret),
        quote(secret, safe="").encode(),
        json.dumps(text)[1:-1].encode(errors="surrogateescape"),
        secret.hex().encode(),
    }


def assert_absent(secrets: dict[str, bytes], texts: Iterable[bytes], where: str) -> None:
    """Checks that no text contains a secret. The error names the secret without showing it."""
    for text in texts:
        for description, secret in secrets.items():
            for form in _forms(secret):
                at = text.find(form)
                shown = (text[max(at - 200, 0) : at] + b"<HERE>" + text[at + len(form) : at + len(form) + 100]).decode(
                    errors="replace"
                )
                assert at < 0, f"{description} is in {where}: …{shown}…"


def _read_objects() -> list[str]:
    """Reads every object of every kind that can be listed; Secrets without their data."""
    kinds = kubectl.run("api-resources", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in kinds if kind not in ("secrets", "componentstatuses")]
    texts = [kubectl.run("get", ",".join(kinds), "--all-namespaces", "--output=json", "--show-managed-fields")]
    for secret in kubectl.list_objects("secrets"):
        texts.append(json.dumps({key: value for key, value in secret.items() if key != "data"}))
    return texts


def _read_logs() -> list[str]:
    logs = []
    for pod in kubectl.list_objects("pods"):
        meta = pod["metadata"]
        logs.append(kubectl.logs(meta["namespace"], meta["name"]))
        if any(status.get("restartCount") for status in pod["status"].get("containerStatuses", ())):
            logs.append(kubectl.logs(meta["namespace"], meta["name"], "--previous"))
    return logs


def _read_attempt(tenant: Tenant, name: str) -> dict[str, bytes]:
    """Returns the seed of a running import, and the password derived from it."""
    body = tenant.get(name)
    (secret,) = kubectl.list_objects("secrets", tenant.name, f"{LABEL_IMPORT_UID}={body['metadata']['uid']}")
    seed = base64.b64decode(secret["data"]["seed"])
    return {
        "the import's seed": seed,
        "the attempt's password": attempt_password(seed, body["status"]["shadow"]["podUID"]).encode(),
    }


@pytest.fixture(scope="module")
def observed(tenant: Tenant, source: Source, source_password: str) -> Observed:
    """Watches an import by each engine from its creation to its end, and one that fails because of its password."""
    observed = Observed()
    tenant.make_previews("watched", "watched-dump", "watched-wrong")
    tenant.make_secrets({"watched-wrong": source.url("small", password=WRONG_PASSWORD)})
    with watched_processes() as observed.processes:
        tenant.start("watched-wrong", "watched-wrong", "watched-wrong")
        tenant.start("watched-dump", "slow", "watched-dump", engine="dump")
        tenant.start("watched", "slow", "watched", engine="relay")
        tenant.wait_until_copying("watched")
        observed.secrets |= _read_attempt(tenant, "watched")
        observed.objects += _read_objects()
        observed.logs += _read_logs()
        bodies = tenant.wait_until_over("watched", "watched-dump", "watched-wrong")
    for name in ("watched", "watched-dump"):
        assert state_of(bodies[name]) == "completed", tenant.describe(IMPORTS, name)
    observed.objects += _read_objects()
    observed.logs += _read_logs()
    observed.secrets |= {
        "the source's password": source_password.encode(),
        # The part before the first special character, at which a parser may cut.
        "the beginning of the source's password": source_password.split()[0].encode(),
        "the wrong password": WRONG_PASSWORD.encode(),
        "the admin's password": read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)["password"].encode(),
        "the preview's password": tenant.connection("watched")["password"].encode(),
    }
    return observed


def test_not_in_objects_and_events(observed: Observed) -> None:
    assert any('"kind": "Event"' in text and "watched" in text for text in observed.objects)
    assert_absent(observed.secrets, (text.encode(errors="surrogateescape") for text in observed.objects), "an object")


def test_T40_not_in_logs(observed: Observed) -> None:
    assert any('"percent"' in text for text in observed.logs), "the worker's log is among them"
    assert_absent(observed.secrets, (text.encode(errors="surrogateescape") for text in observed.logs), "a log")


def test_T40_not_in_processes(observed: Observed) -> None:
    for program in (b"pg_dump\0", b"pg_restore\0", b"pgimport\0worker\0import", b"pgimport\0operator"):
        assert any(program in record for record in observed.processes), f"{program!r} did not run"
    assert_absent(observed.secrets, observed.processes, "arguments or environment of a process")


def test_the_search_finds_what_is_there() -> None:
    """The search finds each form of a secret."""
    secret = 'a"b/ü c'
    for text in (f"…{secret}…", f"…{quote(secret, safe='')}…", json.dumps(secret)):
        with pytest.raises(AssertionError, match="the secret is in a text"):
            assert_absent({"the secret": secret.encode()}, [text.encode()], "a text")
    with pytest.raises(AssertionError, match="<HERE>"):
        assert_absent({"the secret": secret.encode()}, [base64.b64encode(secret.encode())], "a text")
