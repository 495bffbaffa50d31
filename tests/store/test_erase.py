"""Erasing: the text is gone everywhere it can be reached, and everything else is what it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.backends.local.homes import QuickFiles, RecordingFiles
from tests.store.threads import LEGACY, PAGINATED, add_turns, all_bytes, context_of, new_thread, turn_ids

from threadkeep.backends.local import LocalBackend
from threadkeep.errors import InvalidRequest, StorageFailure, ThreadBusy, ThreadNotFound
from threadkeep.store import NewRecord, ThreadStore, _verify_inherited

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from threadkeep.backends import Seal
    from threadkeep.records import Source

SECRET = 'sk-"quoted"\\path/ä€\nend'


def pieces_of(store: ThreadStore) -> bytes:
    return b"".join(all_bytes(store).values())


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_the_text_is_gone_and_nothing_else(store: ThreadStore, mode: str) -> None:
    thread = new_thread(store, "before", "my key is TOPSECRET, keep it", "after", mode=mode)
    child = store.fork(thread).id
    contexts = {each: context_of(store, each) for each in (thread, child)}
    held = all_bytes(store)
    done = store.erase(thread, "TOPSECRET")
    assert done.places >= 2
    assert b"TOPSECRET" not in pieces_of(store)
    for location, data in all_bytes(store).items():
        assert data == held[location].replace(b"TOPSECRET", b"*" * 9)
    for each, context in contexts.items():
        assert context_of(store, each) == [item.replace(b"TOPSECRET", b"*" * 9) for item in context]
    assert done.unreachable


def test_every_form_that_json_has_for_it_is_found(store: ThreadStore) -> None:
    thread = new_thread(store, "x")
    import json

    plain = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"<{SECRET}>"}]}
    call = {
        "type": "function_call",
        "name": "shell",
        "call_id": "c",
        "arguments": json.dumps({"command": ["sh", "-c", f"echo {SECRET}"]}),
    }
    nested = {**call, "arguments": json.dumps({"arguments": json.dumps({"key": SECRET}, ensure_ascii=False)})}
    with store.writer(thread) as writer:
        writer.append_all([NewRecord("response_item", item) for item in (plain, call, nested)])
    done = store.erase(thread, SECRET)
    assert (done.records, done.places) == (3, 3)
    assert b"quoted" not in pieces_of(store)
    items = [json.loads(item) for item in context_of(store, thread)]
    assert json.loads(items[-2]["arguments"])["command"][2].startswith("echo *")
    assert set(json.loads(json.loads(items[-1]["arguments"])["arguments"])["key"]) == {"*"}


def test_relatives_are_cleaned_in_both_directions(store: ThreadStore) -> None:
    root = new_thread(store, "a TOPSECRET")
    child = store.fork(root).id
    add_turns(store, child, "b TOPSECRET")
    grandchild = store.fork(child).id
    add_turns(store, grandchild, "c TOPSECRET")
    store.erase(child, "TOPSECRET")
    assert b"TOPSECRET" not in pieces_of(store)
    assert ["TOPSECRET" in thread.preview for thread in store.list().data] == [False] * 3
    for thread in (root, child, grandchild):
        assert context_of(store, thread)
        assert store.turns(thread, limit=100).data


def test_a_child_goes_on_when_the_text_stood_right_before_its_boundary(store: ThreadStore) -> None:
    root = new_thread(store, "one", "TOPSECRET")
    child = store.fork(root, through=turn_ids(store, root)[1]).id
    store.erase(root, "TOPSECRET")
    assert turn_ids(store, child) == turn_ids(store, root)
    add_turns(store, child, "more")
    assert len(turn_ids(store, child)) == 3


def test_what_a_pin_alone_holds_is_cleaned(tmp_path: Path) -> None:
    from threadkeep.store import ThreadStore

    with ThreadStore(LocalBackend(str(tmp_path)), durability="os") as store:
        root = new_thread(store, "TOPSECRET")
        child = store.fork(root).id
        (tmp_path / store.read(root).location).unlink()
        assert b"TOPSECRET" in b"".join(context_of(store, child))
        done = store.erase(child, "TOPSECRET")
        assert any("pins" in location for location in done.rollouts)
        assert b"TOPSECRET" not in b"".join(context_of(store, child))
        assert all(b"TOPSECRET" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("text", ["", "abc", "    "])
def test_a_text_too_short_to_be_meant_is_refused(store: ThreadStore, text: str) -> None:
    thread = new_thread(store, "one")
    with pytest.raises(InvalidRequest):
        store.erase(thread, text)


@pytest.mark.parametrize("text", ["task_complete", "payload", "turn_id"])
def test_what_would_break_a_record_is_refused_and_changes_nothing(store: ThreadStore, text: str) -> None:
    thread = new_thread(store, "one")
    before = all_bytes(store)
    with pytest.raises(InvalidRequest, match="structure"):
        store.erase(thread, text)
    assert all_bytes(store) == before


def test_a_busy_thread_is_not_changed(store: ThreadStore) -> None:
    thread = new_thread(store, "TOPSECRET")
    before = all_bytes(store)
    with store.writer(thread), pytest.raises(ThreadBusy):
        store.erase(thread, "TOPSECRET")
    assert all_bytes(store) == before


def test_a_thread_that_is_deleted_at_the_same_time_is_not_found(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = new_thread(store, "TOPSECRET")
    guard = store.backend.guard

    def deleted_first(*, exclusive: bool) -> object:
        monkeypatch.undo()
        store.delete(thread)
        return guard(exclusive=exclusive)

    monkeypatch.setattr(store.backend, "guard", deleted_first)
    with pytest.raises(ThreadNotFound, match="removed meanwhile"):
        store.erase(thread, "TOPSECRET")


def test_part_of_an_escape_is_not_the_text(store: ThreadStore) -> None:
    thread = new_thread(store, "one\nabcd two")
    done = store.erase(thread, "nabcd")
    assert (done.records, done.places) == (0, 0)


def test_what_was_sealed_by_verifying_is_verified_after_it_was_erased_from(store: ThreadStore) -> None:
    root = new_thread(store, "TOPSECRET", "two")
    child = store.fork(root).id
    assert store.verify(child).ok
    store.erase(root, "TOPSECRET")
    assert store.verify(child).ok
    assert store.verify(child).ok


def test_bytes_that_were_erased_while_they_were_verified_first_are_not_sealed(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = new_thread(store, "TOPSECRET", "two")
    child = store.fork(root).id
    seal_of = _verify_inherited._seal_of

    def erased_meanwhile(source: Source, end: int, told: Callable[[], None]) -> Seal:
        monkeypatch.undo()
        seal = seal_of(source, end, told)
        store.erase(root, "TOPSECRET")
        return seal

    monkeypatch.setattr(_verify_inherited, "_seal_of", erased_meanwhile)
    store.verify(child)
    assert store.verify(child).ok
    assert store.verify(child).ok


def test_no_power_cut_brings_back_what_was_erased(tmp_path: Path) -> None:
    files = RecordingFiles()
    with ThreadStore(LocalBackend(str(tmp_path), files=files), durability="fsync") as store:
        root = new_thread(store, "TOPSECRET", "two")
        store.fork(root)
        files.calls.clear()
        store.erase(root, "TOPSECRET")
    changes = [call for call, path in files.calls if call != "fsync" and not path.endswith(".lock")]
    assert "rename" in changes
    assert changes[-1] == "syncfs"


def test_every_file_system_that_holds_rollouts_is_flushed(tmp_path: Path) -> None:
    """The folder of the rollouts may be a link to another one."""

    class Elsewhere(RecordingFiles):
        def stat(self, path: str) -> os.stat_result:
            found = super().stat(path)
            there = os.sep + "sessions" in path and not path.endswith(".jsonl")
            fields, named = cast("tuple[Any, Any]", found.__reduce__()[1])
            return os.stat_result((*fields[:2], found.st_dev + there, *fields[3:]), named)

    files = Elsewhere()
    with ThreadStore(LocalBackend(str(tmp_path), files=files), durability="fsync") as store:
        root = new_thread(store, "TOPSECRET")
        store.erase(root, "TOPSECRET")
    flushed = {os.path.relpath(path, tmp_path).split(os.sep)[0] for call, path in files.calls if call == "syncfs"}
    assert flushed == {".", "sessions"}


def test_a_folder_that_is_removed_meanwhile_does_not_stop_it(tmp_path: Path) -> None:
    empty = tmp_path / "sessions" / "2020" / "01" / "01"

    class Removing(QuickFiles):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            if path == str(empty) and flags & os.O_DIRECTORY and empty.exists():
                empty.rmdir()
            return super().open(path, flags, mode)

    with ThreadStore(LocalBackend(str(tmp_path), files=Removing()), durability="fsync") as store:
        root = new_thread(store, "TOPSECRET")
        empty.mkdir(parents=True)
        assert store.erase(root, "TOPSECRET").places > 0
        assert not empty.exists()


def test_a_second_copy_of_a_rollout_is_cleaned_as_well(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        parent = new_thread(store, "my key is TOPSECRET")
        child = store.fork(parent).id
        first = tmp_path / store.read(parent).location
        (tmp_path / "archived_sessions").mkdir()
        (tmp_path / "archived_sessions" / first.name).write_bytes(first.read_bytes())
        store.erase(child, "TOPSECRET")
        for path in tmp_path.rglob("*.jsonl"):
            assert b"TOPSECRET" not in path.read_bytes(), path


def test_a_line_that_is_too_long_to_be_looked_into_is_named(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = new_thread(store, "one")
    add_turns(store, thread, "TOPSECRET " * 30_000)
    monkeypatch.setattr("threadkeep.records._scan.MAX_RECORD_BYTES", 100_000)
    done = store.erase(thread, "TOPSECRET")
    location = store.read(thread).location
    assert any("size bound" in sentence and location in sentence for sentence in done.unreachable)


@pytest.mark.parametrize("where", ["sessions/2026/11/23", "threadkeep/pins/x"])
def test_what_a_stopped_program_was_writing_does_not_keep_it(tmp_path: Path, where: str) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "my key is TOPSECRET, keep it")
        folder = tmp_path / where
        folder.mkdir(parents=True, exist_ok=True)
        left = [folder / f".threadkeep-01a206b1-3ef5-7030-8114-19d0a811001{number}.tmp" for number in range(3)]
        (whole,) = all_bytes(store).values()
        left[0].write_bytes(whole)
        left[1].write_bytes(whole[: whole.index(b"TOPSECRET") + 9])
        left[2].write_bytes(b'{"type":"other"}\n')
        store.erase(thread, "TOPSECRET")
        assert [each.exists() for each in left] == [False, False, True]
        store.erase(thread, "keep it")
        assert left[2].exists()


def test_what_a_stopped_program_was_writing_and_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "my key is TOPSECRET, keep it")
        held = all_bytes(store)
        (tmp_path / "sessions" / ".threadkeep-x.tmp").mkdir()
        with pytest.raises(StorageFailure, match=r"\.threadkeep-x\.tmp"):
            store.erase(thread, "TOPSECRET")
        assert all_bytes(store) == held
