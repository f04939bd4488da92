"""Defines `Project.spec.podTemplate`: the part of a PodTemplateSpec that a platform's admin sets for import pods.

A wrong label is refused, because each Job with it would fail an import for good. Large Kubernetes structures, such as
affinity, are not validated here (x-kubernetes-preserve-unknown-fields). The API
server checks them when it creates the Job, and its answer becomes the import's error.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from pgimport.model.base_models import StrictModel
from pgimport.model.import_spec import Resources
from pgimport.model.string_types import ObjectName, ShortText

_MAX_ITEMS = 64
_Text = Annotated[str, Field(max_length=4096)]
_AnyObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
_TextMap = Annotated[
    dict[ShortText, _Text],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string", "maxLength": 4096}}),
]
_LABEL_KEY = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?$"
_LABEL_VALUE = "^([0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?)?$"
LABEL_RULE = "no label: write a key like team or example.com/team, and a value of up to 63 letters, digits, -, _ and ."


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    if not all(re.fullmatch(_LABEL_KEY, key) and re.fullmatch(_LABEL_VALUE, labels[key]) for key in labels):
        raise ValueError(LABEL_RULE)
    return labels


_Labels = Annotated[
    dict[ShortText, str],
    AfterValidator(_check_labels),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": _MAX_ITEMS,
            "additionalProperties": {"type": "string", "maxLength": 63},
            "x-kubernetes-validations": [
                {
                    "rule": f"self.all(key, key.matches('{_LABEL_KEY}') && self[key].matches('{_LABEL_VALUE}'))",
                    "message": LABEL_RULE,
                }
            ],
        }
    ),
]


class PodTemplateMetadata(StrictModel):
    """Labels and annotations of import pods."""

    labels: _Labels = Field(default={}, description="Labels of the pods. The operator's own labels take precedence.")
    annotations: _TextMap = Field(
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
