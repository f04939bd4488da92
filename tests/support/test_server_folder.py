"""Folders of test servers are in memory, and none stays there."""

import os
import time
from pathlib import Path

from tests.support.server_folder import LOCK, ORPHAN_SECONDS, PREFIX, open_server_folder, remove_orphans


def age_lock(home: Path) -> None:
    past = time.time() - 2 * ORPHAN_SECONDS
    os.utime(home / LOCK, (past, past))


def test_a_folder_exists_for_its_block_only(tmp_path: Path) -> None:
    with open_server_folder(18, tmp_path) as home:
        (home / "data").mkdir()
        age_lock(home)
        remove_orphans(home.parent)
        assert (home / "data").is_dir(), "a folder that is in use was removed"
    assert not home.exists()


def test_the_folder_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / f"{PREFIX}18-old", tmp_path / f"{PREFIX}18-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / LOCK).touch()
    age_lock(old)
    remove_orphans(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_small_memory_is_not_used(tmp_path: Path) -> None:
    with open_server_folder(18, tmp_path / "missing") as home:
        assert home.is_dir()


def test_a_server_that_is_measured_is_on_the_disk_that_it_names(tmp_path: Path) -> None:
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    for folder in (memory, disk):
        folder.mkdir()
    with open_server_folder(18, memory, disk=disk) as home:
        assert home.parent == disk
