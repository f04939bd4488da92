"""The outbox: a ConfigMap in the operator's namespace with the pending deliveries of objects that are deleted."""

import logging
import threading
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from pgimport.decide.webhooks import choose_dropped
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.secrets_and_config_maps import patch_config_map, read_config_map_entries
from pgimport.model.errors import NotFound, PgimportError
from pgimport.model.names import outbox_name
from pgimport.model.policy import Policy
from pgimport.model.webhooks import OutboxEntry

logger = logging.getLogger(__name__)
_lock = threading.Lock()  # for each change that depends on what is stored


def read_outbox(cluster: KubernetesClient, policy: Policy) -> dict[str, OutboxEntry]:
    """Returns the entries by the ID of their delivery, without those that another version wrote in another shape."""
    stored = read_config_map_entries(cluster, policy.operator_namespace, outbox_name(policy.release_name))
    if stored is None:
        raise NotFound(f"ConfigMap {outbox_name(policy.release_name)} does not exist")
    entries: dict[str, OutboxEntry] = {}
    for id_, text in stored.items():
        try:
            entries[id_] = OutboxEntry.model_validate_json(text)
        except ValidationError:
            logger.warning("the outbox of webhooks has an entry that cannot be read: %s", id_)
    return entries


def add_to_outbox(cluster: KubernetesClient, policy: Policy, added: Sequence[OutboxEntry]) -> None:
    """Stores deliveries, and drops the oldest ones if there are too many.

    Never raises what Kubernetes answers: a deletion does not wait for the outbox. What is not stored is still sent by
    this process.
    """
    try:
        with _lock:
            stored = read_outbox(cluster, policy)
            dropped = choose_dropped(stored, added)
            for id_ in dropped:
                logger.warning("the outbox of webhooks is full: delivery %s is not kept", id_)
            kept = {entry.delivery.id: entry.model_dump_json(by_alias=True) for entry in added}
            _patch(cluster, policy, kept | {id_: None for id_ in dropped})
    except PgimportError as error:
        logger.warning("%d deliveries of webhooks are lost if the operator ends now: %s", len(added), error)


def update_outbox(cluster: KubernetesClient, policy: Policy, entry: OutboxEntry) -> None:
    """Stores the state of a delivery, or removes it when it has ended. Raises PgimportError."""
    text = entry.model_dump_json(by_alias=True) if entry.delivery.pending else None
    with _lock:
        if text is None or entry.delivery.id in read_outbox(cluster, policy):
            _patch(cluster, policy, {entry.delivery.id: text})


def _patch(cluster: KubernetesClient, policy: Policy, entries: Mapping[str, str | None]) -> None:
    patch_config_map(cluster, policy.operator_namespace, outbox_name(policy.release_name), entries)
