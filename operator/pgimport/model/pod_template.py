"""Defines `Project.spec.podTemplate`: the part of a PodTemplateSpec that a platform's admin sets for import pods.

A wrong label or annotation is refused, because each Job with it would fail an import for good. Large Kubernetes
structures, such as affinity, are not validated here (x-kubernetes-preserve-unknown-fields). The API server checks them
when it creates the Job, and its answer becomes the import's error.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from pgimport.model.base_models import StrictModel
from pgimport.model.import_spec import Resources
from pgimport.model.string_types import ObjectName, ShortText

_MAX_ITEMS = 64
_AnyObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
_NAME = "[0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?"
_LABEL_KEY, _LABEL_VALUE = f"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}$", f"^({_NAME})?$"
_ANNOTATION_KEY = f"^([0-9A-Za-z]([-0-9A-Za-z.]{{0,251}}[0-9A-Za-z])?/)?{_NAME}$"
LABEL_RULE = "no label: write a key like team or example.com/team, and a value of up to 63 letters, digits, -, _ and ."
ANNOTATION_RULE = "no annotation: write a key like team or example.com/team"


def _ruled_map(key: str, value: str, longest: int, message: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Builds a rule about all keys and values as a pydantic validator for the operator and as CEL for the API server.

    `key` and `value` are patterns. An empty one fits all values.
    """

    def fits_item(name: str, text: str) -> bool:
        return bool(re.fullmatch(key, name)) and len(text) <= longest and (not value or bool(re.fullmatch(value, text)))

    def check(items: dict[str, str]) -> dict[str, str]:
        if not all(fits_item(name, text) for name, text in items.items()):
            raise ValueError(message)
        return items

    rule = f"name.matches('{key}') && self[name].matches('{value}')" if value else f"name.matches('{key}')"
    schema = {
        "type": "object",
        "maxProperties": _MAX_ITEMS,
        "additionalProperties": {"type": "string", "maxLength": longest},
        "x-kubernetes-validations": [{"rule": f"self.all(name, {rule})", "message": message}],
    }
    return AfterValidator(check), WithJsonSchema(schema)


_label_map = _ruled_map(_LABEL_KEY, _LABEL_VALUE, 63, LABEL_RULE)
_annotation_map = _ruled_map(_ANNOTATION_KEY, "", 4096, ANNOTATION_RULE)
_Labels = Annotated[dict[ShortText, str], _label_map[0], _label_map[1]]
_Annotations = Annotated[dict[ShortText, str], _annotation_map[0], _annotation_map[1]]


class PodTemplateMetadata(StrictModel):
    """Labels and annotations of import pods."""

    labels: _Labels = Field(default={}, description="Labels of the pods. The operator's own labels take precedence.")
    annotations: _Annotations = Field(
        default={}, description="Annotations of the pods. The operator's own annotations take precedence."
    )


class PullSecret(StrictModel):
    """Names a Secret with the credentials of an image registry."""

    name: ObjectName = Field(description="The name of a Secret in the Project's namespace.")


class PodTemplateSpec(StrictModel):
    """Placement and defaults of import pods."""

    node_selector: _Labels = Field(default={}, description="Labels that a node must have to run the pods.")
    affinity: _AnyObject | None = Field(default=None, description="Affinity and anti-affinity of the pods.")
    tolerations: list[_AnyObject] = Field(
        default=[], max_length=_MAX_ITEMS, description="Taints of nodes that the pods tolerate."
    )
    topology_spread_constraints: list[_AnyObject] = Field(
        default=[], max_length=_MAX_ITEMS, description="Rules that spread the pods over zones or nodes."
    )
    priority_class_name: ObjectName | None = Field(default=None, description="The PriorityClass of the pods.")
    runtime_class_name: ObjectName | None = Field(
        default=None, description="The RuntimeClass of the pods, for example one that runs them in a sandbox."
    )
    service_account_name: ObjectName | None = Field(
        default=None,
        description="The service account of the pods, for example for policies that select it. The pods never mount a"
        " token.",
    )
    image_pull_secrets: list[PullSecret] = Field(
        default=[], max_length=_MAX_ITEMS, description="Secrets for the worker images, in addition to the operator's."
    )
    resources: Resources | None = Field(
        default=None,
        description="Requests and limits of each container. Those of an import's spec.resources take precedence.",
    )


class PodTemplate(StrictModel):
    """Settings of a Project's import pods, in the shape of a Pod's template."""

    metadata: PodTemplateMetadata = Field(
        default=PodTemplateMetadata(), description="Labels and annotations of the pods."
    )
    spec: PodTemplateSpec = Field(default=PodTemplateSpec(), description="Placement and defaults of the pods.")
