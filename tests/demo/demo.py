"""The demo in the cluster of `make up`: an import, one that fails as expected, and copies of a golden preview."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.errors import ClusterError
from tests.cluster.instance import REPOSITORY, this_instance
from tests.cluster.project_images import MAJOR, SOURCE_MAJOR, Images, ensure_images
from tests.cluster.provider_choice import choose_provider
from tests.demo import database, golden_copies
from tests.demo.objects import EXAMPLES, NAMESPACE, DemoError, Status, follow, read_status, wait_for
from tests.demo.screen import (
    tell,
    tell_bad,
    tell_command,
    tell_good,
    tell_output,
    tell_step,
    tell_table,
)
from tests.support import kubectl

PREVIEW = IMPORT = "debian"
FAILING_IMPORT = "debian-wrong-password"
FILES = tuple(EXAMPLES / name for name in ("project.yaml", "preview.yaml", "import.yaml"))

PAGE = "http://localhost:8090/ui/"
NEXT = (
    ("Set up kubectl for this shell:", ". .cluster/env"),
    (
        f"Open the web page: {PAGE} while this runs. Sign in with the key that `echo $PGIMPORT_API_KEY` prints.",
        "kubectl -n pgimport-system port-forward service/pgimport-api 8090:80",
    ),
    ("List the imports on the command line:", ".venv/bin/pgimport -n demo import list"),
    ("Why one of them failed, and what to do:", f".venv/bin/pgimport -n demo import explain {FAILING_IMPORT}"),
    ("Import again, with a live view:", ".venv/bin/pgimport -n demo import retry debian --recreate --watch"),
    ("Check the installation:", ".venv/bin/pgimport doctor"),
    (
        "List the jobs over HTTP:",
        'curl -s $PGIMPORT_API_URL/v1/projects/demo/jobs -H "Authorization: Bearer $PGIMPORT_API_KEY"',
    ),
    ("Status and events of the import:", "kubectl -n demo describe pgi debian"),
    ("Query the preview:", "kubectl -n demo exec -it psql -- psql"),
    ("Apply it again; a completed import never runs again:", f"kubectl apply -f {FILES[-1]}"),
    (
        "Refused, because the spec of an import is immutable:",
        """kubectl -n demo patch pgi debian --type merge -p '{"spec":{"jobs":8}}'""",
    ),
    (
        "Replace the content of the preview by a new import:",
        f"sed '0,/name: debian/s//name: again/; s/recreate: false/recreate: true/' {FILES[-1]} | kubectl apply -f -",
    ),
    ("Delete the preview with its database and role:", "kubectl -n demo delete previewdatabase debian"),
    ("Remove the cluster:", "make down"),
)

PROJECT_SECONDS = 120
POD_SECONDS = 120


class Times:
    """Measures how long each part takes, for the last line."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._parts.append(f"{name} {time.monotonic() - start:.1f} s")

    def __str__(self) -> str:
        return ", ".join(self._parts)


def _secret(name: str, url: str) -> kubectl.Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": {"url": url},
    }


def _failing_import() -> kubectl.Manifest:
    return {
        "apiVersion": "capydb.dev/v1alpha1",
        "kind": "PostgresImport",
        "metadata": {"name": FAILING_IMPORT, "namespace": NAMESPACE},
        "spec": {
            "project": "demo",
            "source": {"urlSecretRef": {"name": FAILING_IMPORT, "key": "url"}},
            "target": {"previewDatabase": PREVIEW},
            # The import may replace the target, but must not touch it, because it fails.
            "recreate": True,
        },
    }


def _condition(status: Status, kind: str) -> dict[str, str]:
    return next((entry for entry in status.get("conditions", ()) if entry["type"] == kind), {})


def _clear() -> None:
    """Deletes the objects of an earlier demo, because a terminal import never runs again."""
    golden_copies.clear()
    kubectl.delete("pod", "psql", namespace=NAMESPACE)
    kubectl.delete("postgresimport", IMPORT, FAILING_IMPORT, namespace=NAMESPACE)
    kubectl.delete("previewdatabase", PREVIEW, namespace=NAMESPACE)


def start_the_source(image: str) -> tuple[str, dict[str, str]]:
    tell_step(f"A source: PostgreSQL {SOURCE_MAJOR} with Debian's own package index, in namespace {database.NAMESPACE}")
    url = database.start_source(image)
    facts = database.source_facts()
    tell_good(
        f"{int(facts['packages']):,} packages, {int(facts['dependencies']):,} dependencies;"
        f" {int(facts['rows']):,} rows in {facts['tables']} tables"
    )
    return url, facts


def ask_for_the_import(url: str) -> None:
    tell_step("The import, created as a user does")
    _clear()
    tell_command("kubectl -n demo create secret generic debian-source --from-file=url=/dev/stdin")
    kubectl.apply(_secret("debian-source", url))
    tell_command("kubectl apply " + " ".join(f"-f {path}" for path in FILES))
    words = [word for path in FILES for word in ("--filename", str(REPOSITORY / path))]
    tell_output(kubectl.run("apply", *words))
    wait_for(lambda: bool(read_status("project", "demo", None).get("ready")), "the project is ready", PROJECT_SECONDS)


def watch_the_import() -> None:
    tell_step("The import runs")
    tell_command("kubectl -n demo get pgi debian --watch")
    status = follow(IMPORT)
    if status["state"] != "completed":
        _tell_failure(status)
        tell_command(
            f"kubectl -n demo describe pgi {IMPORT}", f"kubectl -n demo logs job/{status.get('job')} --all-containers"
        )
        raise DemoError(f"the import {IMPORT} is {status['state']}")
    verification = status.get("verification", {})
    tell_good(
        f"completed and verified: {verification.get('rows', 0):,} rows in {verification.get('tables', 0)} tables,"
        f" {verification.get('sequences', 0)} sequences, {verification.get('largeObjects', 0)} large objects"
    )


def query_the_preview(image: str, expected: dict[str, str]) -> None:
    tell_step("The result: the five packages on which most others depend")
    kubectl.run("apply", "--filename", "-", stdin=database.manifest_with_image("psql.yaml", image))
    kubectl.wait_for_pod(NAMESPACE, "psql", POD_SECONDS)
    tell_command("kubectl -n demo exec -i psql -- psql < tests/demo/sql/most_needed.sql")
    tell_table(database.query(NAMESPACE, "psql", "most_needed.sql"))
    _compare(expected)
    tell_good("source and preview agree")


def _compare(expected: dict[str, str]) -> None:
    content = database.parse_one_row(database.query(NAMESPACE, "psql", "facts.sql"))
    if content != expected:
        raise DemoError(f"the preview differs from its source: {content} instead of {expected}")


def show_a_failure(url: str, expected: dict[str, str]) -> None:
    tell_step("What failure looks like: the same import with a wrong password")
    host = url.partition("@")[2]
    kubectl.apply(_secret(FAILING_IMPORT, f"postgresql://debian:{secrets.token_urlsafe(12)}@{host}"), _failing_import())
    status = follow(FAILING_IMPORT)
    _tell_failure(status)
    reason = _condition(status, "Ready").get("reason")
    if (status["state"], reason) != ("failed", "SourceAuthFailed"):
        raise DemoError(f"the import should fail with SourceAuthFailed, but it is {status['state']} with {reason}")
    _compare(expected)
    tell_good("the preview still holds what it held")


def _tell_failure(status: Status) -> None:
    message, _, hint = str(status.get("error", "")).partition(" (hint: ")
    tell_bad(f"{status['state']}: {_condition(status, 'Ready').get('reason')}")
    tell_output(f"error:    {message}")
    if hint:
        tell_output(f"hint:     {hint.removesuffix(')')}")
    tell_output(f"attempts: {status.get('attempts')} of {status.get('maxAttempts')}")
    tell_output(f"retry:    {status.get('retryClassification')}")


def tell_what_next() -> None:
    tell_step("What to try next")
    tell_output(kubectl.run("get", "pgi", "--namespace", NAMESPACE))
    for meaning, command in NEXT:
        tell()
        tell(f"  {meaning}")
        tell_command(command)


def run(images: Images) -> None:
    if images.demo_source is None:
        raise DemoError("the image of the demo's source is missing")
    times = Times()
    database.write_url(None)
    with times.of("source ready in"):
        url, facts = start_the_source(images.demo_source)
    ask_for_the_import(url)
    with times.of("imported in"):
        watch_the_import()
    with times.of("queried in"):
        query_the_preview(images.workers[MAJOR], facts)
    with times.of("refused in"):
        show_a_failure(url, facts)
    with times.of("golden preview filled in"):
        golden_copies.fill_the_golden_preview()
    with times.of("copied three times in"):
        golden_copies.make_the_copies()
    with times.of("refreshed in"):
        golden_copies.refresh_the_golden_preview(images.workers[MAJOR])
    database.write_url(url)
    tell_what_next()
    tell()
    tell_good(f"done: {times}")


def main() -> int:
    """Runs the demo, and returns 0 if everything went as expected."""
    try:
        run(ensure_images(choose_provider(this_instance())))
    except (DemoError, ClusterError, kubectl.KubectlError, AssertionError) as error:
        tell_bad(str(error))
        return 1
    except KeyboardInterrupt:
        tell()
        tell("interrupted: make demo starts again from the beginning")
        return 130
    return 0
