"""The reason of an excluded relation names the field that leaves it out."""

import pytest

from pgimport.model.import_spec import Filter
from pgimport.worker.scope.patterns import build_name_filter, find_exclusion


@pytest.mark.parametrize(
    ("filter_", "schema", "name", "reason"),
    [
        (None, "shop", "items", None),
        (Filter(include_schemas=["shop"]), "shop", "items", None),
        (Filter(include_schemas=["shop"]), "audit", "log", "spec.filter.includeSchemas does not name its schema"),
        (Filter(exclude_schemas=["au*"]), "audit", "log", "spec.filter.excludeSchemas leaves it out"),
        (Filter(exclude_tables=["shop.items"]), "shop", "items", "spec.filter.excludeTables leaves it out"),
        (Filter(exclude_tables=["own"]), "reader", "own", "spec.filter.excludeTables leaves it out"),
        (Filter(exclude_table_data=["shop.items"]), "shop", "items", None),
    ],
)
def test_the_reason_names_the_field(filter_: Filter | None, schema: str, name: str, reason: str | None) -> None:
    assert find_exclusion(filter_, schema, name, "reader") == reason
    assert build_name_filter(filter_, (), "reader")(schema, name) is (reason is None)
