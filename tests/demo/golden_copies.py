"""The demo's last part: a golden preview, three copies of it, and a refresh while a session uses a copy."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.demo import database
from tests.demo.objects import EXAMPLES, NAMESPACE, DemoError, follow, read_status, wait_for
from tests.demo.screen import tell_command, tell_good, tell_output, tell_step
from tests.support import kubectl

GOLDEN, COPY_FILES = "debian-golden", (EXAMPLES / "golden.yaml", EXAMPLES / "copy.yaml")
FIRST_IMPORT, REFRESH = "debian-golden-1", "debian-golden-2"
COPIES = ("pr-1", "pr-2", "pr-3")
READY_SECONDS = 120
POD = "psql-pr-1"


def clear() -> None:
    """Deletes the objects of an earlier demo."""
    kubectl.delete("pod", POD, namespace=NAMESPACE)
    kubectl.delete("postgresimport", FIRST_IMPORT, REFRESH, namespace=NAMESPACE)
    kubectl.delete("previewdatabase", *COPIES, GOLDEN, namespace=NAMESPACE)


def fill_the_golden_preview() -> None:
    tell_step("Import once, copy often: a golden preview")
    golden, _ = COPY_FILES
    tell_command(f"kubectl apply -f {golden}")
    tell_output(kubectl.run("apply", "--filename", "-", stdin=_read(golden.name)))
    _follow(FIRST_IMPORT)
    tell_good(f"the golden preview has the data as of {_read_age(GOLDEN)}")


def make_the_copies() -> None:
    tell_step("Three copies of it, without an import")
    _, copy = COPY_FILES
    for name in COPIES:
        first = name == COPIES[0]
        tell_command(f"kubectl apply -f {copy}" if first else f"sed 's/pr-1/{name}/' {copy} | kubectl apply -f -")
        start = time.monotonic()
        kubectl.run("apply", "--filename", "-", stdin=_read(copy.name).replace(COPIES[0], name))
        wait_for(lambda name=name: _is_ready(name), f"the copy {name} is ready", READY_SECONDS)  # type: ignore[misc]
        tell_good(f"{name} is ready after {time.monotonic() - start:.1f} s, with the data as of {_read_age(name)}")


def refresh_the_golden_preview(image: str) -> None:
    tell_step("A refresh of the golden preview, while a session uses a copy")
    pod = database.manifest_with_image("psql.yaml", image).replace("name: psql\n", f"name: {POD}\n", 1)
    kubectl.run("apply", "--filename", "-", stdin=pod.replace("debian-connection", f"{COPIES[0]}-connection"))
    kubectl.wait_for_pod(NAMESPACE, POD, READY_SECONDS)
    age = _read_age(GOLDEN)
    with database.open_session(NAMESPACE, POD) as query:
        before = query("SELECT pg_backend_pid(), count(*) FROM package;")
        tell_command(f"sed 's/{FIRST_IMPORT}/{REFRESH}/' {COPY_FILES[0]} | kubectl apply -f -")
        kubectl.run("apply", "--filename", "-", stdin=_read(COPY_FILES[0].name).replace(FIRST_IMPORT, REFRESH))
        _follow(REFRESH)
        if query("SELECT pg_backend_pid(), count(*) FROM package;") != before:
            raise DemoError("the refresh has changed the copy")
    wait_for(lambda: _read_age(GOLDEN) > age, "the golden preview is newer", READY_SECONDS)
    if _read_age(COPIES[0]) != age:
        raise DemoError("the refresh has changed the age of the copy")
    tell_good(f"the golden preview has the data as of {_read_age(GOLDEN)}")
    tell_good(f"{COPIES[0]} stays as it is, and its session goes on: {int(before.partition(',')[2]):,} packages")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tell_output("To copy the new data into it:")
    tell_command(f"""kubectl -n demo patch previewdatabase pr-1 --type merge -p '{{"spec":{{"resetAt":"{now}"}}}}'""")


def _read(name: str) -> str:
    return (database.CHECKOUT / EXAMPLES / name).read_text(encoding="utf-8")


def _follow(name: str) -> None:
    status = follow(name)
    if status["state"] != "completed":
        raise DemoError(f"the import {name} is {status['state']}: {status.get('error')}")


def _is_ready(name: str) -> bool:
    return read_status("previewdatabase", name).get("state") == "ready"


def _read_age(name: str) -> str:
    return str(read_status("previewdatabase", name).get("dataAsOf"))
