"""Reads one import repeatedly in this process: a kubectl process for each read would disturb the measurement."""

from typing import Any

import urllib3
from kubernetes import client, config
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import GROUP, IMPORTS, VERSION

UNREACHABLE = (client.ApiException, urllib3.exceptions.HTTPError)
TIMEOUT = (2, 5)  # seconds to connect and to read


class ImportReader:
    """Reads imports with the credentials of the cluster's admin."""

    def __init__(self) -> None:
        api = config.new_client_from_config(kubectl.environment()["KUBECONFIG"])
        api.rest_client.pool_manager.connection_pool_kw["retries"] = False
        self._custom = client.CustomObjectsApi(api)

    def get_import(self, namespace: str, name: str) -> Manifest:
        """Read one import. Raises one of UNREACHABLE."""
        body: Any = self._custom.get_namespaced_custom_object(
            GROUP, VERSION, namespace, IMPORTS, name, _request_timeout=TIMEOUT
        )
        return dict(body)
