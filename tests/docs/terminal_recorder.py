"""`python -m tests.docs.terminal_recorder`: records kubectl's answers for the pictures, in the cluster of `make up`.

It needs the source of the cluster tests, makes a Project `shop` with previews and imports, and removes it again.
"""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from subprocess import CompletedProcess
from typing import Any

from tests.docs.terminal_pictures import NAMESPACE, RECORDINGS, SHOTS, VERSION, Shot, main, show
from tests.e2e.fixtures import SOURCE_NAMESPACE, SOURCE_SECRET
from tests.e2e.postgres_pods import Postgres, Source
from tests.e2e.tenant import Tenant, make_tenant, read_secret, remove_tenant
from tests.support import kubectl

from pgimport import __version__
from pgimport.cli.cluster_commands.doctor_clients import VARIABLE
from pgimport.cli.cluster_commands.kubectl import Kubectl

SHOWN_HOST = "db.example.com"
PERCENT = 30  # of the import in the live view
PROJECTS = (NAMESPACE, "demo")


class RecordingKubectl(Kubectl):
    """Runs kubectl, and keeps its answers."""

    def __init__(self, hidden: dict[str, str]) -> None:
        super().__init__([], NAMESPACE)
        self.answers: dict[str, Any] = {}
        self._hidden = hidden

    def _call(self, arguments: Sequence[str], stdin: str | None) -> "CompletedProcess[str]":
        done = super()._call(arguments, stdin)
        out, err = self._hide(done.stdout), self._hide(done.stderr)
        self.answers[" ".join(arguments)] = [done.returncode, _shorten(out), err]
        return done

    def _hide(self, text: str) -> str:
        for real, written in self._hidden.items():
            text = text.replace(real, written)
        return text


def _shorten(text: str) -> Any:
    """Parses JSON, and leaves out what no page shows."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    for item in body.get("items") or [body]:
        metadata = item.get("metadata") or {}
        metadata.pop("annotations", None)
        if item.get("kind") == "Deployment":
            containers = item["spec"]["template"]["spec"]["containers"]
            envs = [[entry for entry in each.get("env", ()) if entry["name"] == VARIABLE] for each in containers]
            item["spec"] = {"template": {"spec": {"containers": [{"env": env} for env in envs]}}}
            item["status"] = {"availableReplicas": item["status"].get("availableReplicas", 0)}
    if body.get("kind") == "List":
        kept = [item for item in body["items"] if item["kind"] != "Project" or item["metadata"]["name"] in PROJECTS]
        body["items"] = kept
    return body


def record(shot: Shot, hidden: dict[str, str]) -> None:
    program, time = RecordingKubectl(hidden), datetime.now(UTC)
    show(shot.run, program, time)
    content = {"time": time.isoformat(timespec="seconds"), "answers": program.answers}
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True).replace(f'"{__version__}"', f'"{VERSION}"')
    (RECORDINGS / f"{shot.name}.json").write_text(text + "\n", encoding="utf-8")


def _import(tenant: Tenant) -> None:
    """Makes a completed import, a failed one, and one that copies."""
    tenant.make_secrets({"shop": tenant.source.url("shop"), "wrong": tenant.source.url("shop", password="wrong")})
    tenant.make_secrets({"large": tenant.source.url("large")})
    tenant.make_previews("pr-42", "pr-43")
    kubectl.create(tenant.preview_manifest("golden", golden=True))
    tenant.start("pr-42-first", "shop", "pr-42")
    tenant.start("pr-43-first", "wrong", "pr-43")
    tenant.wait_until_over("pr-42-first", "pr-43-first")
    tenant.start("nightly", "large", "golden", jobs=1)
    kubectl.wait_until(
        lambda: tenant.get("nightly").get("status", {}).get("progress", {}).get("percent", 0) >= PERCENT,
        f"the import has copied {PERCENT} %",
        240,
    )


def record_all() -> int:
    """Records and draws all pictures."""
    RECORDINGS.mkdir(exist_ok=True)
    os.environ.update(kubectl.environment())
    source = Source(Postgres(SOURCE_NAMESPACE, "source"), read_secret(SOURCE_NAMESPACE, SOURCE_SECRET)["password"])
    hidden = {source.host: SHOWN_HOST, SOURCE_NAMESPACE: "databases"}
    remove_tenant(NAMESPACE)
    try:
        _import(make_tenant(NAMESPACE, source, organizationID=NAMESPACE))
        for shot in sorted(SHOTS, key=lambda shot: shot.name != "import-watch"):  # the running import first
            record(shot, hidden)
    finally:
        remove_tenant(NAMESPACE)
    return main()


if __name__ == "__main__":
    sys.exit(record_all())
