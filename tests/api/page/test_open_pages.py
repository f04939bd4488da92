"""Many open pages at the same time: the memory and the connections of the API's process.

`PGIMPORT_PAGE_CHANGES=1200` makes it last about ten minutes: a page shows one or two changes a second.
"""

import asyncio
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import SOURCE, a_project, write_keys
from tests.api.page.page_client import SAME_ORIGIN
from tests.e2e.api_process import ApiProcess, run_api
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.support.kubernetes import Kubernetes, run_kubernetes

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS

pytestmark = pytest.mark.thorough
PAGES = 50
CHANGES = int(os.environ.get("PGIMPORT_PAGE_CHANGES", "3"))  # that each page shows
MAX_GROWTH_MIB = 20
WRITE_SECONDS = 0.1  # between two changes
PATIENCE = 120  # seconds that a page waits for a change


@dataclass(frozen=True)
class OpenedApi:
    """A running API, a session of its page, and an import."""

    program: ApiProcess
    kubernetes: Kubernetes
    session: dict[str, str]
    job_id: str

    def read_memory(self) -> float:
        """Returns the resident memory in MiB."""
        text = Path(f"/proc/{self.program.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert match is not None
        return int(match[1]) / 1024

    def count_open_files(self) -> int:
        return len(list(Path(f"/proc/{self.program.process.pid}/fd").iterdir()))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenedApi]:
    with run_kubernetes() as kubernetes:
        cluster = kubernetes.connect()
        cluster.create("/apis/capydb.dev/v1alpha1/projects", a_project("shop"))
        key = write_keys(cluster, SYSTEM_NAMESPACE)["all"]
        with run_api(tmp_path, write_kubeconfig(tmp_path, kubernetes.url)) as program:
            answer = httpx.post(f"{program.url}/ui/sign-in", data={"key": key}, headers=SAME_ORIGIN)
            session = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
            body, headers = {"source_url": SOURCE}, {"Authorization": f"Bearer {key}"}
            created = httpx.post(f"{program.url}/v1/projects/shop/imports", json=body, headers=headers)
            yield OpenedApi(program, kubernetes, session, created.json()["job"]["id"])


def write_kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": {"server": url}}],
        "users": [{"name": "tests", "user": {}}],
    }
    path.write_text(json.dumps(config))
    return path


@contextmanager
def changing(opened: OpenedApi) -> Iterator[None]:
    """Writes the progress of the import again and again, as the operator does."""
    done, cluster = threading.Event(), opened.kubernetes.connect()
    path = api_paths.resource(IMPORTS, "shop", opened.job_id.partition(".")[2])

    def write() -> None:
        number = 0
        while not done.wait(WRITE_SECONDS):
            number += 1
            said_at = datetime.fromtimestamp(number, UTC).isoformat()
            progress = {"phase": "data", "percent": number % 100, "bytesDone": number * 1000, "saidAt": said_at}
            status = {"state": "running", "progress": progress}
            cluster.patch(f"{path}/status", [{"op": "add", "path": "/status", "value": status}])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def keep_open(client: httpx.AsyncClient, path: str, changes: int, ready: asyncio.Barrier) -> None:
    """Does what a browser does with an open page: loads it, and loads it again after each change."""
    text = (await client.get(path)).raise_for_status().text
    match = re.search(r'data-changes="([^"]+)"', text)
    assert match is not None
    async with client.stream("GET", match[1]) as stream:
        assert stream.raise_for_status().headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line == "event: changed":
                (await client.get(path, headers={"HX-Request": "true"})).raise_for_status()
                changes -= 1
            if changes <= 0:
                break
        await ready.wait()  # all are open at the same time


def open_pages(opened: OpenedApi, pages: int, changes: int) -> None:
    """Opens pages, each with a browser of its own, and closes them after they have shown these changes."""
    paths = ("/ui/imports", f"/ui/imports/{opened.job_id}", "/ui/previews", "/ui/schedules")

    async def run() -> None:
        ready = asyncio.Barrier(pages)
        url, session = opened.program.url, opened.session
        clients = [httpx.AsyncClient(base_url=url, headers=session, timeout=PATIENCE) for _ in range(pages)]
        opening = [
            keep_open(client, paths[number % len(paths)], changes, ready) for number, client in enumerate(clients)
        ]
        await asyncio.gather(*opening)
        await asyncio.gather(*(client.aclose() for client in clients))

    with changing(opened):
        asyncio.run(run())


def test_many_open_pages_leave_neither_memory_nor_connections(opened: OpenedApi) -> None:
    open_pages(opened, 2, 1)
    memory, files = opened.read_memory(), opened.count_open_files()
    open_pages(opened, PAGES, CHANGES)
    open_pages(opened, PAGES, 1)
    grown = opened.read_memory() - memory
    print(f"{PAGES} pages, {CHANGES} changes each: {grown:+.1f} MiB of {memory:.0f} MiB")
    assert grown < MAX_GROWTH_MIB
    open_pages(opened, 2, 1)  # by now the server has learned that the others are closed
    assert opened.count_open_files() < files + PAGES // 2
