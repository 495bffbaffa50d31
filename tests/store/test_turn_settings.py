"""What a turn runs with when its author says nothing: as the turn before it, and at first with few rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.store.threads import add_turns, new_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from threadkeep.store import ThreadStore

FULL = {"type": "disabled"}


def settings_of(store: ThreadStore, thread: str) -> dict[str, Any]:
    settings = store.resume(thread).settings
    assert settings is not None
    return settings


def test_a_new_thread_works_in_its_folder_and_may_not_write(store: ThreadStore) -> None:
    settings = settings_of(store, new_thread(store, "one"))
    assert settings["cwd"] == "/project"
    assert settings["sandbox_policy"] == {"type": "read-only"}
    assert [entry["access"] for entry in settings["permission_profile"]["file_system"]["entries"]] == ["read"]


def test_the_next_turn_takes_over_what_was_set(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread) as writer:
        stated: dict[str, Any] = {"model": "m", "cwd": "/other", "effort": "high", "permission_profile": FULL}
        with writer.turn("two", **stated):
            pass
    child = store.fork(thread).id
    for each in (thread, child):
        add_turns(store, each, "three")
        settings = settings_of(store, each)
        assert {name: settings[name] for name in stated} == stated
        assert settings["sandbox_policy"] == {"type": "danger-full-access"}


def test_rights_that_are_given_replace_both_forms(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread) as writer:
        with writer.turn("two", permission_profile=FULL):
            pass
        with writer.turn("three", permission_profile={"type": "managed", "network": "restricted"}):
            pass
    assert settings_of(store, thread)["sandbox_policy"] == {"type": "read-only"}


def test_rights_of_a_thread_that_states_the_old_form_alone_are_kept(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread) as writer:
        writer.append(
            "turn_context",
            {
                "cwd": "/project",
                "approval_policy": "on-request",
                "sandbox_policy": {"type": "workspace-write", "network_access": False},
                "model": "old",
                "summary": "auto",
            },
        )
    add_turns(store, thread, "two")
    settings = settings_of(store, thread)
    assert settings["sandbox_policy"]["type"] == "workspace-write"
    assert settings["approval_policy"] == "on-request"
    assert "permission_profile" not in settings


def test_what_was_appended_by_hand_is_taken_over_by_the_next_turn(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread) as writer:
        with writer.turn("two", model="first"):
            pass
        writer.append(
            "turn_context",
            {"cwd": "/x", "approval_policy": "never", "permission_profile": FULL, "model": "second", "summary": "none"},
        )
        with writer.turn("three"):
            pass
    assert settings_of(store, thread)["model"] == "second"


def test_settings_are_read_once_however_many_turns_follow(store: ThreadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread) as writer:
        read: list[Mapping[str, Any]] = []
        known = writer._settings

        def settings() -> Mapping[str, Any]:
            read.append(known())
            return read[-1]

        monkeypatch.setattr(writer, "_settings", settings)
        for number in range(5):
            with writer.turn(f"turn {number}"):
                pass
    assert len(read) == 1
