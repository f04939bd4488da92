"""Carries out the actions that are decided for a PostgresImportSchedule. Every action can be repeated."""

from contextlib import suppress

from pgimport.decide.decision import Action, CancelImport, CreateScheduledImport, DeleteImport
from pgimport.decide.observed_objects import ObservedSchedule
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, is_failed_test
from pgimport.kubernetes_client.ownership import is_owned, refuse_name
from pgimport.manifest.scheduled_import import build_scheduled_import
from pgimport.model.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from pgimport.model.names import IMPORTS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.reconcile_context import ReconcileContext

_ADVICE = "Correct spec.importTemplate, or ask the cluster's admin to allow the import."


def act_on_schedule(context: ReconcileContext, observed: ObservedSchedule, action: Action) -> None:
    """Carries out one action.

    Raises Refused, Conflict or KubernetesUnavailable; the schedule is then reconciled again.
    """
    namespace = observed.object.meta.namespace
    match action:
        case CreateScheduledImport(name):
            _create_import(context, observed, name)
        case CancelImport(name, uid):
            _cancel_import(context, ResourceKey(IMPORTS, namespace, name), uid)
        case DeleteImport(name, uid):
            context.cluster.delete(api_paths.resource(IMPORTS, namespace, name), uid=uid)
        case _:
            raise TypeError(f"not an action on a schedule: {action!r}")


def _cancel_import(context: ReconcileContext, key: ResourceKey, uid: str) -> None:
    """Does nothing if the import is gone, or if another one has its name. Raises Refused if Kubernetes forbids it."""
    same_object: Json = {"op": "test", "path": "/metadata/uid", "value": uid}
    cancel: Json = {"op": "add", "path": "/spec/cancel", "value": True}
    try:
        with suppress(NotFound):
            context.cluster.patch(api_paths.of_key(key), [same_object, cancel])
    except (Forbidden, Invalid) as error:
        if isinstance(error, Invalid) and is_failed_test(error):
            return
        message = f"Kubernetes does not let the schedule cancel import {key.name}, which it replaces: {error}"
        raise Refused(Failure(Reason.INVALID_SPEC, message, f"Cancel import {key.name} yourself.")) from error


def _create_import(context: ReconcileContext, observed: ObservedSchedule, name: str) -> None:
    """Raises Refused if another object has the name, or if Kubernetes does not accept the import."""
    meta, spec = observed.object.meta, observed.object.spec
    if spec is None:
        raise Conflict(f"PostgresImportSchedule {meta.name} cannot be read any more")
    manifest = build_scheduled_import(meta, name, spec.import_template)
    try:
        context.cluster.create(api_paths.resource(IMPORTS, meta.namespace), manifest)
    except Conflict:
        existing = context.cluster.get(api_paths.resource(IMPORTS, meta.namespace, name))
        if not is_owned(existing, {meta.uid}):
            refuse_name(existing, manifest)
    except (Forbidden, Invalid) as error:  # for example a ResourceQuota or an admission policy of the cluster
        message = f"Kubernetes does not accept import {name} of spec.importTemplate: {error}"
        raise Refused(Failure(Reason.INVALID_SPEC, message, _ADVICE)) from error
