"""Chains of AND and OR, as a server prints them before and after a restore."""

import pytest
from tests.support.postgres import PostgresServer

from pgimport.worker.verify.array_casts import move_array_casts
from pgimport.worker.verify.boolean_groups import flatten_boolean_groups
from pgimport.worker.verify.definitions import Definition, read_definitions

TABLE = """
CREATE TABLE t (a int, b text, c int, d int);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
DEFINITIONS = (
    (
        "trigger",
        "CREATE TRIGGER d BEFORE UPDATE ON t FOR EACH ROW"
        " WHEN (ROW(old.a, old.b, old.c) IS DISTINCT FROM ROW(new.a, new.b, new.c)) EXECUTE FUNCTION tell()",
    ),
    ("view", "CREATE VIEW d AS SELECT FROM t WHERE (a, b, c) IS NOT DISTINCT FROM (1, 'x', d)"),
    ("view", "CREATE VIEW d AS SELECT FROM t WHERE a IN (c, d, a + 1, 7) AND c NOT IN (a, d, 1 + d) OR a = c"),
    (
        "view",
        "CREATE VIEW d AS SELECT CASE WHEN (a, c) IN ((1, 2), (3, 4), (d, 5)) THEN a IN (c, d, 1) END AS e FROM t",
    ),
    ("constraint", "ALTER TABLE t ADD CONSTRAINT d CHECK ((a, c, d) IS DISTINCT FROM (1, 2, 3))"),
    ("index", "CREATE INDEX d ON t (a) WHERE a NOT IN (c, d, 1)"),
    ("policy", "CREATE POLICY d ON t USING ((a, c, d) IS DISTINCT FROM (1, 2, 3))"),
    (
        "rule",
        "CREATE RULE d AS ON UPDATE TO t WHERE (old.a, old.b, old.c) IS DISTINCT FROM (1, 'x', 3) DO ALSO NOTHING",
    ),
    (
        "function",
        "CREATE FUNCTION d(t) RETURNS bool LANGUAGE sql RETURN ($1.a, $1.c, $1.d) IS DISTINCT FROM (1, 2, 3)",
    ),
)


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("(((a = 1) OR (b = 2)) OR (c = 3))", "((a = 1) OR (b = 2) OR (c = 3))"),
        ("((((a) AND (b)) AND (c)) AND (d))", "((a) AND (b) AND (c) AND (d))"),
        ("((a) OR ((b) OR (c)))", "((a) OR (b) OR (c))"),
        ("(((a) AND (b)) OR (c))", "(((a) AND (b)) OR (c))"),
        ("(((a) OR (b)) AND (c))", "(((a) OR (b)) AND (c))"),
        ("(NOT ((a) OR (b)) OR (c))", "(NOT ((a) OR (b)) OR (c))"),
        ("(f((a) OR (b)) OR (c))", "(f((a) OR (b)) OR (c))"),
        ("(((a) OR (b)) IS NULL OR (c))", "(((a) OR (b)) IS NULL OR (c))"),
        ("(((a OR b) OR c) AND d)", "((a OR b OR c) AND d)"),
        ("'((a OR b) OR c)'", "'((a OR b) OR c)'"),
        ("((a OR b", "((a OR b"),
        (")) OR (a", ")) OR (a"),
    ],
)
def test_only_operands_of_the_same_chain_lose_their_parentheses(text: str, flat: str) -> None:
    assert flatten_boolean_groups(text) == flat


@pytest.mark.parametrize(("kind", "definition"), DEFINITIONS)
def test_a_definition_is_equal_to_itself_after_a_restore(
    postgres16: PostgresServer, kind: str, definition: str
) -> None:
    """Seen before: the report of each import listed a trigger WHEN (ROW(…) IS DISTINCT FROM ROW(…)) as different."""

    def create(statement: str) -> Definition:
        connection.execute(f"{TABLE} {statement}".encode())
        listed = [item for item in read_definitions(connection, ("",), [kind]) if not item.name.startswith("tell")]
        connection.execute("DROP TABLE public.t CASCADE; DROP FUNCTION public.tell; SET search_path = public")
        return listed[0]

    with postgres16.database("chains") as name, postgres16.connect(name) as connection:
        source = create(definition)
        copy = create(source.statements[0] or "")
    assert source.statements != copy.statements
    assert source.equals(copy)


@pytest.mark.parametrize("change", [move_array_casts, flatten_boolean_groups])
def test_a_long_text_needs_linear_time(change: object) -> None:
    """Seen before: each cast was moved in a pass of its own."""
    assert callable(change)
    text = "((a) OR " * 2_000 + "(ARRAY['b', 'c'])::text[]" * 2_000 + ")" * 2_000
    assert change(text).count("'b'") == 2_000
