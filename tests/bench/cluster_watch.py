"""Watches single objects of the cluster, so that a measure sees a change at once instead of polling."""

from collections.abc import Callable
from typing import Any

from kubernetes import client, config, watch
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import GROUP, IMPORTS, VERSION

TIMEOUT_SECONDS = 120


class ClusterWatcher:
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
        """Wait until a pod of the Job exists and the condition holds."""
        selector = f"batch.kubernetes.io/job-name={job}"
        return self._await(self._core.list_namespaced_pod, (namespace,), condition, label_selector=selector)

    def _await(
        self, listing: Any, arguments: tuple[str, ...], condition: Callable[[Manifest], bool], **selector: str
    ) -> Manifest:
        """Return the first state that fulfils the condition. Raises TimeoutError with the newest status."""
        newest: Manifest = {}
        stream = watch.Watch().stream(listing, *arguments, timeout_seconds=TIMEOUT_SECONDS, **selector)
        for event in stream:
            body = event["object"]
            newest = body if isinstance(body, dict) else self._api.sanitize_for_serialization(body)
            if condition(newest):
                return newest
        status = newest.get("status")
        raise TimeoutError(f"the condition was not fulfilled within {TIMEOUT_SECONDS} s; the newest status: {status}")
