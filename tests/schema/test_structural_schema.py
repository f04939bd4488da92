"""Checks how pydantic models become structural schemas, and which models are refused."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pgimport.model.base_models import StrictModel
from pgimport.model.scalar_types import Bytes, Duration, Time
from pgimport.schema.structural_schema import NotStructural, build_schema


class Colour(StrEnum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    """Nested object."""

    name: str


class Everything(StrictModel):
    """All supported types of fields."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=9, pattern="^a$")] = Field(description="A text.")
    optional: int | None = Field(default=None, ge=1, le=9)
    constant: Literal["one"] = "one"
    colour: Colour = Field(default=Colour.RED, description="The description of the field.")
    above: int = Field(default=1, gt=0)
    names: list[Annotated[str, StringConstraints(max_length=3)]] = Field(default=[], max_length=2)
    unique: set[str] = Field(default=set())
    inner_one: Inner
    inner_two: Inner | None = None
    size: Bytes = 1
    life: Duration | None = None
    at: Time | None = None


PROPERTIES: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "description": "A text.", "minLength": 1, "maxLength": 9, "pattern": "^a$"},
    "optional": {"type": "integer", "minimum": 1, "maximum": 9},
    "constant": {"type": "string", "enum": ["one"]},
    "colour": {"type": "string", "description": "The description of the field.", "enum": ["red", "blue"]},
    "above": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
    "names": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
    "unique": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "innerOne": {
        "type": "object",
        "description": "Nested object.",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
    },
    "innerTwo": {
        "type": "object",
        "description": "Nested object.",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
    },
    "size": {
        "x-kubernetes-int-or-string": True,
        "maxLength": 32,
        "minimum": 0,
        "pattern": r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$",
    },
    "life": {"type": "string", "maxLength": 32, "pattern": "^([0-9]{1,6}(s|m)|[0-9]{1,5}h)+$"},
    "at": {"type": "string", "format": "date-time"},
}


@pytest.mark.parametrize(("name", "expected"), PROPERTIES.items(), ids=PROPERTIES)
def test_a_field_becomes_a_structural_schema(name: str, expected: dict[str, Any]) -> None:
    assert build_schema(Everything)["properties"][name] == expected


def test_a_field_with_a_default_is_optional_and_its_default_is_omitted() -> None:
    schema = build_schema(Everything)
    assert schema["required"] == ["text", "innerOne"]
    assert "default" not in str(schema)
    assert "additionalProperties" not in str(schema)


def test_type_description_and_required_come_first() -> None:
    assert list(build_schema(Everything))[:3] == ["type", "description", "required"]


def _build_model(annotation: Any) -> type[BaseModel]:
    return type(
        "Bad",
        (BaseModel,),
        {"__annotations__": {"field": annotation}, "model_config": ConfigDict(arbitrary_types_allowed=True)},
    )


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(int | str, r"Bad\.field: a union of 2 shapes", id="a union"),
        pytest.param(
            tuple[int, str],
            r"Bad\.field: (maxItems|minItems|prefixItems) |prefixItems is not allowed in a structural schema",
            id="a tuple",
        ),
        pytest.param(dict[str, Any], r"Bad\.field: a map of arbitrary values", id="a map of anything"),
        pytest.param(dict[str, int | str], r"Bad\.field{}: a union", id="a union inside a map"),
        pytest.param(Any, r"Bad\.field: no type", id="anything"),
        pytest.param(None, r"Bad\.field: type 'null'", id="null alone"),
        pytest.param(
            Annotated[int, Field(multiple_of=3)],
            r"Bad\.field: multipleOf is not allowed in a structural schema",
            id="a keyword",
        ),
        pytest.param(list[int | str], r"Bad\.field\[\]: a union", id="a union inside a list"),
    ],
)
def test_a_model_that_is_not_structural_is_refused(annotation: Any, message: str) -> None:
    with pytest.raises(NotStructural, match=message):
        build_schema(_build_model(annotation))


def test_the_values_of_a_map_have_a_type() -> None:
    schema = build_schema(_build_model(dict[str, str]))["properties"]["field"]
    assert schema == {"type": "object", "additionalProperties": {"type": "string"}}
