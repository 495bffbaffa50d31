"""What is acknowledged is kept, and what cannot be done changes nothing: settings, facts, archive, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.appserver.test_threads import UNKNOWN, failure, notes, place

from threadkeep.errors import StorageFailure
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.appserver.in_process import Client

    from threadkeep.appserver import Server

    MakeThread = Callable[..., str]

Json = dict[str, Any]


def full(*_: object, **__: object) -> None:
    raise StorageFailure("the disk is full")


# Settings


def test_settings_that_cannot_be_kept_are_refused_told_to_nobody_and_not_in_force(
    client: Client, server: Server, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread()
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    loaded = server.threads.require(thread)
    before, update = loaded.settings, {"threadId": thread, "effort": "low"}
    with monkeypatch.context() as patched:
        patched.setattr(loaded.writer, "append", full)
        assert failure(client, "thread/settings/update", update) == (-32603, "the disk is full")
    assert loaded.settings is before
    number = client.send("thread/settings/update", update)
    told = place(client, lambda message: message.get("method") == "thread/settings/updated")
    assert place(client, lambda message: message.get("id") == number) < told
    assert [note["threadSettings"]["effort"] for note in notes(client, "thread/settings/updated")] == ["low"]


def test_settings_that_contradict_each_other_are_refused(client: Client, make_thread: MakeThread) -> None:
    thread = make_thread()
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    update = {"threadId": thread, "permissions": ":workspace", "sandboxPolicy": {"type": "readOnly"}}
    assert failure(client, "thread/settings/update", update) == (
        -32600,
        "`permissions` cannot be combined with `sandboxPolicy`",
    )


@pytest.mark.parametrize("method", ["thread/resume", "thread/settings/update"])
def test_settings_are_in_force_when_the_thread_is_loaded_again(
    client: Client, make_thread: MakeThread, home: Path, server: Server, mode: str, method: str
) -> None:
    thread = make_thread(mode=mode)
    if method == "thread/settings/update":
        client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    client.request(method, {"threadId": thread, "model": "other", "excludeTurns": True})
    server.shutdown(5)
    with ThreadStore.open(home) as store, store.snapshot(thread) as snapshot:
        settings = snapshot.latest().settings
        assert settings is not None
        assert settings["model"] == "other"


# Facts


def test_git_facts_of_a_thread_that_is_loaded_are_set(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(mode=mode)
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    shown = client.request("thread/metadata/update", {"threadId": thread, "gitInfo": {"branch": "b"}})["thread"]
    assert shown["gitInfo"] == {"sha": None, "branch": "b", "originUrl": None}
    client.run_turn(thread)
    assert client.request("thread/read", {"threadId": thread})["thread"]["gitInfo"]["branch"] == "b"


@pytest.mark.parametrize(
    ("method", "project", "said"),
    [
        ("thread/metadata/update", "nope", (-32600, "project not found: nope")),
        ("thread/start", "nope", (-32600, "project not found: nope")),
        ("thread/start", "", (-32600, "projectId must not be empty")),
        ("thread/list", "nope", (-32602, "project not found: nope")),
        ("thread/list", "", (-32602, "projectId must not be empty")),
    ],
)
def test_a_project_is_said_not_to_exist(
    client: Client, home: Path, method: str, project: str, said: tuple[int, str]
) -> None:
    params = {"threadId": UNKNOWN, "projectId": project, "gitInfo": {}}
    assert failure(client, method, params) == said
    assert not list(home.rglob("rollout-*"))
    assert client.request("thread/loaded/list", {})["data"] == []


def test_a_thread_is_in_no_project(client: Client, make_thread: MakeThread) -> None:
    thread = make_thread()
    shown = client.request("thread/metadata/update", {"threadId": thread, "projectId": ""})["thread"]
    assert shown["projectId"] is None


# Archive and delete


@pytest.mark.parametrize("method", ["thread/archive", "thread/delete"])
def test_a_thread_that_cannot_be_put_away_stays_loaded_and_watched(
    client: Client, server: Server, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch, mode: str, method: str
) -> None:
    thread = make_thread(mode=mode)
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    with monkeypatch.context() as patched:
        patched.setattr(server.store, method.removeprefix("thread/"), full)
        assert failure(client, method, {"threadId": thread}) == (-32603, "the disk is full")
    assert client.request("thread/loaded/list", {})["data"] == [thread]
    client.run_turn(thread)  # and its end is told
    assert {"type": "notLoaded"} not in [note["status"] for note in notes(client, "thread/status/changed")]
    assert client.request(method, {"threadId": thread}) == {}
    assert client.request("thread/loaded/list", {})["data"] == []
