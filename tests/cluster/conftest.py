"""Fixtures with a second cluster, in a network namespace of its own, for tests of the bare cluster."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.bare.kubernetes_programs import TOOLS, link_programs
from tests.cluster.isolated_cluster import IsolatedCluster, isolated_network
from tests.cluster.lock import only_one_in_cache


@pytest.fixture
def isolated() -> Iterator[IsolatedCluster]:
    """A cluster that is down. Its folder is in /tmp, because pytest's paths are too long for a socket address."""
    folder = Path(tempfile.mkdtemp(prefix="pgimport-", dir="/tmp"))
    # One test at a time, because tests compare the whole host before and after.
    with only_one_in_cache("isolated-cluster"), isolated_network(folder / "c") as second:
        try:
            yield second
        finally:
            second.call("down")
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def running(isolated: IsolatedCluster) -> IsolatedCluster:
    isolated.call("cluster")
    link_programs(TOOLS, isolated.instance.programs)
    return isolated
