"""A session for definitions gets its share of the server's memory."""

import pytest

from pgimport.worker.engines.definitions.session import plan_work_memory
from pgimport.worker.memory import MIB


@pytest.mark.parametrize(
    ("current", "buffers", "sessions", "expected"),
    [(64, 128, 2, 64), (64, 4096, 2, 1024), (64, 1024, 4, 128), (2048, 128, 2, 2048)],
    ids=["small server", "large server", "four sessions", "larger setting of the server"],
)
def test_memory_of_index_builds_follows_the_servers_shared_buffers(
    current: int, buffers: int, sessions: int, expected: int
) -> None:
    assert plan_work_memory(current * MIB, buffers * MIB, sessions) == expected * MIB
