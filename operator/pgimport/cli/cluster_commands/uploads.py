"""Uploads a dump file of this machine through the HTTP API, so that an import can read it."""

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.messages import format_bytes

API_SECONDS = 60  # for an answer; also between two pieces of an upload


class _Measured:
    """A file that computes the checksum of what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def upload_dump(context: CommandContext, path: Path, project: str) -> dict[str, Any]:
    """Uploads the file and returns the source of an import of it: its key and checksum. Raises CommandFailed."""
    api, key = (context.environment.get(name, "").strip() for name in ("PGIMPORT_API_URL", "PGIMPORT_API_KEY"))
    if not api or not key:
        raise CommandFailed("--dump uploads through the HTTP API: set PGIMPORT_API_URL and PGIMPORT_API_KEY")
    if path.exists() and not path.is_file():
        raise CommandFailed(f"{path} is no regular file. Write the dump to a file: its size must be known.")
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise CommandFailed(f"{path} is empty")
            url = f"{api.rstrip('/')}/v1/projects/{project}/imports/uploads"
            answer = _call(url, "POST", b"", {"Authorization": f"Bearer {key}"})
            upload = json.loads(answer)["upload"]
            context.screen.print_note(f"uploading {path} ({format_bytes(size)}) …")
            measured = _Measured(file)
            _call(upload["upload_url"], "PUT", measured, {"Content-Length": str(size)})
    except OSError as error:
        raise CommandFailed(f"{path} cannot be uploaded: {error}") from None
    except (ValueError, KeyError, TypeError):
        raise CommandFailed(f"the HTTP API at {api} did not answer as expected: check PGIMPORT_API_URL") from None
    return {"uploadKey": upload["object_key"], "sha256": measured.digest.hexdigest()}


def _call(url: str, method: str, body: "bytes | _Measured", headers: dict[str, str]) -> str:
    if not url.startswith(("http://", "https://")):
        raise CommandFailed("PGIMPORT_API_URL must begin with https:// or http://")
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 (checked above)
    try:
        with urllib.request.urlopen(request, timeout=API_SECONDS) as response:  # noqa: S310 (checked above)
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        raise CommandFailed(f"the HTTP API refused the upload: {_read_error(error)}") from None
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise CommandFailed(f"the HTTP API did not answer: {error}") from None


def _read_error(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"status {error.code}"
