"""Deletes uploads that no import uses. The operator deletes those that an import has used."""

import logging
import threading
import time
from functools import partial

from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.json_cache import JsonCache
from pgimport.model.names import IMPORTS
from pgimport.store.embedded_store import LocalStore

SWEEP_SECONDS = 30.0  # between two sweeps
_log = logging.getLogger(__name__)


def start_upload_sweeps(store: LocalStore, cache: JsonCache, stop: threading.Event) -> None:
    """Starts a thread that sweeps until `stop` is set."""
    threading.Thread(target=partial(_sweep_repeatedly, store, cache, stop), name="uploads", daemon=True).start()


def _sweep_repeatedly(store: LocalStore, cache: JsonCache, stop: threading.Event) -> None:
    while not stop.wait(min(SWEEP_SECONDS, store.settings.expiry.total_seconds())):
        try:
            sweep_uploads(store, cache, time.time())
        except Exception:
            _log.exception("unused uploads could not be deleted")


def sweep_uploads(store: LocalStore, cache: JsonCache, now: float) -> None:
    """Deletes the files that were uploaded more than `expiry` before `now` and that no import names."""
    old_keys = store.list_expired(now)
    if not old_keys or not cache.ready:
        return
    for key in set(old_keys) - {_find_key(body) for body in cache.list_all(IMPORTS)}:
        store.delete(key)
        _log.info("deleted an upload that no import uses: %s", key)


def _find_key(body: Json) -> str | None:
    """Returns the key of the upload that an import names. Its spec may have fields that only a newer version parses."""
    key: str | None = body.get("spec", {}).get("source", {}).get("uploadKey")
    return key
