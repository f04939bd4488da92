"""Stores reports as the operator does."""

from tests.api.conftest import Api
from tests.support.kubernetes import Json

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, REPORT_KEY, report_name


def store_report(api: Api, job: str, texts: list[str], owner: str | None = None, message: str | None = None) -> None:
    """Stores a report in as many ConfigMaps as there are texts. `owner`: their owner's uid, if it is not the import."""
    name = job.removeprefix("shop.")
    uid = api.read(IMPORTS, name)["metadata"]["uid"]
    names = [report_name(name, uid, number + 1) for number in range(len(texts))]
    for config_map, text in zip(names, texts, strict=True):
        reference = {"apiVersion": "v1", "kind": "PostgresImport", "name": name, "uid": owner or uid}
        meta = {"name": config_map, "namespace": "shop", "ownerReferences": [reference]}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {REPORT_KEY: text}}
        api.context.cluster.create(api_paths.core("shop", "configmaps"), body)
    reference_field: Json = {"podUID": "pod", "configMaps": names} | ({"message": message} if message else {})
    condition = {
        "type": "FullyImported",
        "status": "False",
        "reason": "ObjectsRefused",
        "message": "",
        "lastTransitionTime": "2026-01-01T12:00:00.000Z",
    }
    api.set_status(
        IMPORTS, name, state="completed", skipped=160, refused=7, reportRef=reference_field, conditions=[condition]
    )
