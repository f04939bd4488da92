"""Translates what kubectl prints about a failure into one of our errors. Pure."""

import re

from pgimport.cli.cluster_commands.errors import AlreadyExists, CommandFailed, NotAllowed, ObjectNotFound

# What people call our kinds, by the name that Kubernetes prints.
NOUNS = {
    "postgresimports.capydb.dev": "import",
    "previewdatabases.capydb.dev": "preview",
    "postgresimportschedules.capydb.dev": "schedule",
    "projects.capydb.dev": "Project",
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "pods": "pod",
    "namespaces": "namespace",
}
NOT_INSTALLED = "this cluster has no pgimport: its custom resources are not installed. Run `pgimport doctor`."
_CLUSTER_WIDE = ("projects.capydb.dev", "namespaces")
_OBJECT = re.compile(r'^(?P<resource>\S+) "(?P<name>[^"]*)" (?P<verb>not found|already exists)$')
_FROM_SERVER = re.compile(r"^(?:error: )?Error from server(?: \((?P<reason>\w+)\))?: (?:error when \w+ \"[^\"]*\": )?")
_CLIENT_LOG = re.compile(r"^(?:[EWIF]\d{4} |Warning: )")
_NO_RESOURCE = (
    "the server doesn't have a resource type",
    "no matches for kind",
    "the server could not find the requested",
)


def explain_kubectl_error(stderr: str, namespace: str) -> CommandFailed:
    """Returns the error that kubectl's stderr describes. `namespace` is the one in which kubectl looked."""
    lines = [line for line in stderr.strip().split("\n") if line and not _CLIENT_LOG.match(line)]
    text = " ".join(line.strip() for line in lines) or "kubectl failed without a message"
    if any(part in text for part in _NO_RESOURCE):
        return CommandFailed(NOT_INSTALLED)
    match = _FROM_SERVER.match(text)
    reason = match["reason"] if match else None
    message = text[match.end() :] if match else text.removeprefix("error: ")
    if found := _OBJECT.match(message):
        named = _describe_object(found["resource"], found["name"], namespace)
        return AlreadyExists(f"{named} already exists") if reason == "AlreadyExists" else _not_found(named)
    if reason == "NotFound":
        return ObjectNotFound(message)
    return NotAllowed(message) if reason in ("Forbidden", "Unauthorized") else CommandFailed(message)


def _not_found(named: str) -> ObjectNotFound:
    return ObjectNotFound(f"{named} was not found")


def _describe_object(resource: str, name: str, namespace: str) -> str:
    where = "" if resource in _CLUSTER_WIDE else f" in namespace {namespace}"
    return f"{NOUNS.get(resource, resource)} {name}{where}"
