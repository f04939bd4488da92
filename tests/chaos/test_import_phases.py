import pytest
from tests.chaos.import_phases import Connection, Phase, PhaseTrigger

FIRST_STATEMENTS = {
    Phase.PREFLIGHT: (Connection.SOURCE, "connect"),
    Phase.GATE: (Connection.ADMIN, 'ALTER ROLE "pgimport_1" LOGIN'),
    Phase.READ: (Connection.SOURCE, "Q\0\0\0\x2aCOPY shop.orders (id) TO stdout;"),
    Phase.SCHEMA: (Connection.WORKER, "SET x = 1;\nCREATE TABLE shop.orders (id int)"),
    Phase.DATA: (Connection.WORKER, "COPY shop.orders FROM STDIN"),
    Phase.INDEXES: (Connection.WORKER, "CREATE UNIQUE INDEX orders_key ON shop.orders (id)"),
    Phase.VERIFY: (Connection.WORKER, "SELECT count(*) FROM shop.orders"),
    Phase.SWAP: (Connection.ADMIN, 'ALTER DATABASE "pgimport_1" RENAME TO "shop"'),
    Phase.DROP: (Connection.ADMIN, 'DROP DATABASE "pgimport_old"'),
}


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_is_recognised_by_its_first_statement(phase: Phase) -> None:
    trigger, actions = PhaseTrigger(), list[Phase]()
    trigger.arm(phase, lambda: actions.append(phase))
    for connection, statement in FIRST_STATEMENTS.values():
        trigger.observe(connection, statement)
        trigger.observe(connection, statement)
    assert (actions, trigger.reached) == ([phase], phase)


def test_a_statement_on_another_connection_does_not_begin_a_phase() -> None:
    trigger = PhaseTrigger()
    trigger.arm(Phase.DROP, lambda: None)
    trigger.observe(Connection.WORKER, "DROP DATABASE shop")
    assert trigger.reached is None


def test_a_disarmed_trigger_does_nothing() -> None:
    trigger = PhaseTrigger()
    trigger.arm(Phase.PREFLIGHT, lambda: pytest.fail("it is disarmed"))
    trigger.disarm()
    trigger.observe(Connection.SOURCE, "connect")
    assert trigger.reached is None
