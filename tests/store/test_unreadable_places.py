"""What cannot be read is said, and nothing is changed behind Codex's back because of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.store.threads import new_thread, turn_ids

from threadkeep.backends.local._files import Files
from threadkeep.cli._main import cli
from threadkeep.errors import CodexOwned
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Refusing(Files):
    """A file system in which one path must not be opened, whoever asks (root may open everything)."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if path == self.path:
            raise PermissionError(13, os.strerror(13), path)
        return super().open(path, flags, mode)

    def open_plain(self, path: str, flags: int) -> int:
        if path == self.path:
            raise PermissionError(13, os.strerror(13), path)
        return super().open_plain(path, flags)


def test_doctor_names_a_rollout_that_cannot_be_opened(tmp_path: Path) -> None:
    from threadkeep.backends.local import LocalBackend

    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "one")
        path = tmp_path / store.read(thread).location
    with ThreadStore(LocalBackend(str(tmp_path), files=Refusing(str(path)))) as store:
        found = [finding for finding in store.doctor() if finding.thread == thread]
        assert [(finding.kind, finding.severity) for finding in found][:1] == [("unreadable", "error")]
        assert thread in {node.id for node in store.tree()}


def test_without_codex_s_index_nobody_changes_what_may_be_codex_s(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "one", "two")
        second = turn_ids(store, thread)[1]
    (tmp_path / "state_5.sqlite").write_bytes(b"this is no database" * 100)
    with ThreadStore.open(tmp_path) as store:
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl") if "threadkeep" not in path.parts}
        changes: list[Callable[[], object]] = [
            lambda: store.rename(thread, "new"),
            lambda: store.archive(thread),
            lambda: store.revert(thread, before=second),
        ]
        for change in changes:
            with pytest.raises(CodexOwned, match="nobody can say"):
                change()
        assert store.rename(thread, "mine", local=True).name == "mine"
        assert store.archive(thread, local=True).archived
        store.unarchive(thread, local=True)
        store.revert(thread, before=second, local=True)
        assert len(turn_ids(store, thread)) == 1
        after = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl") if "threadkeep" not in path.parts}
        assert after == before


def test_a_list_that_may_not_be_whole_says_so(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        new_thread(store, "one")
    (tmp_path / "state_5.sqlite").write_bytes(b"this is no database" * 100)
    for command in (["list"], ["list", "--json"], ["tree"], ["du"]):
        ran = CliRunner().invoke(cli, ["--home", str(tmp_path), *command])
        assert ran.exit_code == 0
        assert "state_5.sqlite cannot be read" in ran.stderr
