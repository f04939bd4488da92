"""Defines the security contexts of the import's pod: the restricted Pod Security Standard."""

from pgimport.manifest.metadata import Json

WORKER_USER = 65532  # the user of the images
POD_SECURITY: Json = {
    "runAsNonRoot": True,
    "runAsUser": WORKER_USER,
    "runAsGroup": WORKER_USER,
    # Only the group can read a mounted Secret.
    "fsGroup": WORKER_USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_USERS = ("runAsUser", "runAsGroup", "fsGroup")
CONTAINER_SECURITY: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_pod_security(set_user: bool) -> Json:
    """Leaves out users and groups if the platform chooses them, as OpenShift does for each namespace."""
    return {name: value for name, value in POD_SECURITY.items() if set_user or name not in _USERS}
