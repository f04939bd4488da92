"""Runs a real S3 server on the loopback interface: versitygw, which keeps objects as files.

It is a Go program, built once per machine into the cache of the test cluster.
"""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import obstore
from obstore.store import S3Store
from tests.cluster.bare.kubernetes_programs import require_go
from tests.cluster.commands import print_progress
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache

from pgimport.model.uploads import S3Settings
from pgimport.store.s3_store import ACCESS_KEY, SECRET_KEY

VERSION = "v1.8.0"
BUCKET = "uploads-bucket"
START_SECONDS = 20


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket."""

    endpoint: str
    folder: Path
    environment: dict[str, str] = field(repr=False)

    def settings(self, **changes: object) -> S3Settings:
        return S3Settings.model_validate({"bucket": BUCKET, "endpoint": self.endpoint, **changes})

    def put(self, key: str, content: bytes) -> None:
        """Stores an object as the owner of the bucket."""
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=self.environment[ACCESS_KEY],
            secret_access_key=self.environment[SECRET_KEY],
            client_options={"allow_http": True},
        )
        obstore.put(store, key, content)


def ensure_program() -> Path:
    """Returns the program, built with Go unless it is in the cache; a build takes about 90 seconds on two cores."""
    folder = cache_folder() / f"versitygw-{VERSION}"
    program = folder / "versitygw"
    with only_one_in_cache("versitygw"):
        if not program.exists():
            print_progress(f"building versitygw {VERSION}")
            require_go()
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                [
                    "go",
                    "install",
                    "-trimpath",
                    "-ldflags=-s -w",
                    f"github.com/versity/versitygw/cmd/versitygw@{VERSION}",
                ],
                env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"},
                check=True,
                cwd="/",
            )
    return program


@contextmanager
def run_s3_server(folder: Path) -> Iterator[S3Server]:
    """Runs the server until the end of the block."""
    program = ensure_program()
    (folder / BUCKET).mkdir(parents=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    access, secret = "tests", secrets.token_urlsafe(24)
    process = subprocess.Popen(
        [program, "--port", f"127.0.0.1:{port}", "posix", folder],
        env={"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "versitygw ended"
                assert time.monotonic() < deadline, "versitygw does not listen"
                time.sleep(0.05)
        yield S3Server(f"http://127.0.0.1:{port}", folder, {ACCESS_KEY: access, SECRET_KEY: secret})
    finally:
        process.terminate()
        process.wait()
