"""One object's changes as a watch shows them, in this process: what a measure waits for, without polling."""

from collections.abc import Callable
from typing import Any

from kubernetes import client, config, watch
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import GROUP, IMPORTS, VERSION

PATIENCE_SECONDS = 120


class Observer:
    """Creates objects and watches them."""

    def __init__(self) -> None:
        api = config.new_client_from_config(kubectl.environment()["KUBECONFIG"])
        self._core, self._batch = client.CoreV1Api(api), client.BatchV1Api(api)
        self._custom = client.CustomObjectsApi(api)
        self._api = api

    def create_job(self, body: Any) -> None:
        self._batch.create_namespaced_job(body["metadata"]["namespace"], body)

    def create_import(self, body: Manifest) -> None:
        self._custom.create_namespaced_custom_object(GROUP, VERSION, body["metadata"]["namespace"], IMPORTS, body)

    def await_import(self, namespace: str, name: str, condition: Callable[[Manifest], bool]) -> Manifest:
        return self._await(
            self._custom.list_namespaced_custom_object,
            (GROUP, VERSION, namespace, IMPORTS),
            condition,
            field_selector=f"metadata.name={name}",
        )

    def await_job(self, namespace: str, name: str, condition: Callable[[Manifest], bool]) -> Manifest:
        selector = f"metadata.name={name}"
        return self._await(self._batch.list_namespaced_job, (namespace,), condition, field_selector=selector)

    def await_pod(self, namespace: str, job: str, condition: Callable[[Manifest], bool] = lambda _: True) -> Manifest:
        """A pod of a Job: as soon as there is one, or as soon as the condition holds."""
        selector = f"batch.kubernetes.io/job-name={job}"
        return self._await(self._core.list_namespaced_pod, (namespace,), condition, label_selector=selector)

    def _await(
        self, listing: Any, where: tuple[str, ...], condition: Callable[[Manifest], bool], **selector: str
    ) -> Manifest:
        """Raises TimeoutError; the last state that was seen is in it."""
        last: Manifest = {}
        stream = watch.Watch().stream(listing, *where, timeout_seconds=PATIENCE_SECONDS, **selector)
        for event in stream:
            found = event["object"]
            last = found if isinstance(found, dict) else self._api.sanitize_for_serialization(found)
            if condition(last):
                return last
        raise TimeoutError(f"not within {PATIENCE_SECONDS} s; last seen: {last.get('status')}")
