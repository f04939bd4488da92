"""The attacks' scripts run as an owner, and the report tells which promise does not hold."""

import pytest
from tests.attacks.attack_report import Outcome, Timings
from tests.attacks.attack_scripts import ATTACKS, Attack
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.isolation
SQL = [attack for attack in ATTACKS if "\\" not in attack.script]


@pytest.mark.parametrize("attack", SQL, ids=[attack.name for attack in SQL])
def test_an_attack_is_possible_for_an_owner(attack: Attack, postgres16: PostgresServer) -> None:
    """If the server refused an attack, the measurement would show nothing."""
    postgres16.execute("CREATE ROLE attacker LOGIN PASSWORD 'p'; CREATE ROLE neighbour")
    try:
        with postgres16.database("attacked", "attacker"):
            postgres16.execute("ALTER SCHEMA public OWNER TO attacker", "attacked")
            script = attack.script.replace("{neighbour}", "neighbour").replace("{project}", "uid")
            script = script.replace("{{", "{").replace("}}", "}").replace("pg_sleep(40)", "pg_sleep(0)")
            with postgres16.connect("attacked", "attacker", "p") as connection:
                for statement in script.split("; ") if "VACUUM" in script else [script]:
                    connection.execute(statement.encode())
                connection.rollback()
            postgres16.execute("ALTER DATABASE attacked IS_TEMPLATE false")
    finally:
        postgres16.execute("DROP ROLE attacker; DROP ROLE neighbour")


def an_outcome(attacked: float, memory_after: float = 100.0) -> Outcome:
    return Outcome(
        alone=Timings(previews=[1.0] * 20, imports=[5.0] * 20),
        attacked=Timings(previews=[attacked] * 20, imports=[5.0 * attacked] * 20),
        minutes=10,
        memory_before=90.0,
        memory_after=memory_after,
        played={"a": 3},
        refused={"b": 1},
        drops={"a": [1.0, 4.0]},
        machine=[("System", "Linux")],
    )


def test_the_report_names_what_does_not_hold() -> None:
    assert an_outcome(1.9).find_broken() == []
    assert "**Holds.**" in an_outcome(1.9).format_report()
    broken = an_outcome(2.1, memory_after=111.0)
    assert broken.find_broken() == [
        "previews took 2.10 s, and 1.00 s alone",
        "imports took 10.50 s, and 5.00 s alone",
        "the operator's memory grew by 21.0 MiB",
    ]
    assert "| a | 3 | 0 | 2.50 s | 4.00 s |" in broken.format_report()
    assert "| b | 0 | 1 | - | - |" in broken.format_report()
