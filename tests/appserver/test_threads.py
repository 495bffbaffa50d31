"""Threads over the protocol: started, resumed, forked, read, named, put away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from threadkeep.errors import RolloutReplaced, ThreadBusy
from threadkeep.store import Snapshot, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.appserver.in_process import Client

    from threadkeep.appserver import Server

    Connect = Callable[[], Client]
    MakeThread = Callable[..., str]

Json = dict[str, Any]

UNKNOWN = "01a20539-62c4-7d30-b194-c0a5e6cebff0"


def failure(client: Client, method: str, params: Json) -> tuple[int, str]:
    """Code and message of the error that a request is answered with."""
    answer = client.response(client.send(method, params))
    assert "error" in answer, answer
    return answer["error"]["code"], answer["error"]["message"]


def notes(client: Client, method: str) -> list[Json]:
    return [message["params"] for message in list(client.messages) if message.get("method") == method]


def place(client: Client, matches: Callable[[Json], bool]) -> int:
    """Where in what a client got something stands."""
    client.wait(matches)
    return next(number for number, message in enumerate(client.messages) if matches(message))


# start


def test_a_started_thread_is_answered_first_and_then_told_to_every_client(connect: Connect) -> None:
    starter, other = connect(), connect()
    number = starter.send("thread/start", {"cwd": "/work"})
    thread = starter.response(number)["result"]["thread"]
    other.wait(lambda message: message.get("method") == "thread/started")
    told = place(starter, lambda message: message.get("method") == "thread/started")
    answered = place(starter, lambda message: message.get("id") == number)
    assert answered < told
    assert notes(starter, "thread/started") == [{"thread": thread}]
    assert notes(other, "thread/started") == [{"thread": thread}]
    assert thread["status"] == {"type": "idle"}
    assert thread["turns"] == []


def test_a_started_thread_has_a_path_and_no_file(client: Client, home: Path) -> None:
    thread = client.request("thread/start", {"cwd": "/work"})["thread"]
    assert thread["path"].startswith(str(home / "sessions"))
    assert not list(home.rglob("rollout-*"))
    client.request("thread/name/set", {"threadId": thread["id"], "name": "Made"})
    assert [str(path) for path in home.rglob("rollout-*")] == [thread["path"]]
    assert client.request("thread/read", {"threadId": thread["id"]})["thread"]["name"] == "Made"
    assert client.request("thread/read", {"threadId": thread["id"]})["thread"]["path"] == thread["path"]


def test_a_thread_without_records_has_no_pages_yet(client: Client) -> None:
    thread = client.request("thread/start", {"cwd": "/work"})["thread"]["id"]
    code, message = failure(client, "thread/turns/list", {"threadId": thread})
    assert code == -32600
    assert message == (
        f"thread {thread} is not materialized yet; thread/turns/list is unavailable before first user message"
    )


def test_an_ephemeral_thread_leaves_nothing_in_the_home(client: Client, home: Path) -> None:
    thread = client.request("thread/start", {"cwd": "/work", "ephemeral": True})["thread"]
    assert thread["ephemeral"] is True
    assert thread["path"] is None
    for method, message in (
        ("thread/read", "ephemeral threads do not support includeTurns"),
        ("thread/turns/list", "ephemeral threads do not support thread/turns/list"),
        ("thread/delete", f"thread is not persisted and cannot be deleted: {thread['id']}"),
        ("thread/name/set", f"ephemeral thread does not support metadata updates: {thread['id']}"),
        ("thread/fork", f"no rollout found for thread id {thread['id']}"),
        ("thread/archive", f"no rollout found for thread id {thread['id']}"),
    ):
        assert failure(client, method, {"threadId": thread["id"], "includeTurns": True, "name": "x"}) == (
            -32600,
            message,
        )
    assert not list(home.rglob("rollout-*"))


# resume


def test_a_resumed_thread_is_whole(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(5, mode=mode)
    answer = client.request("thread/resume", {"threadId": thread})
    assert [turn["items"][0]["content"][0]["text"] for turn in answer["thread"]["turns"]] == [
        f"question {number}" for number in range(5)
    ]
    read = client.request("thread/read", {"threadId": thread, "includeTurns": True})
    assert read["thread"]["turns"] == answer["thread"]["turns"]
    assert answer["model"] == "m"
    assert answer["cwd"] == "/work"
    assert len(notes(client, "deprecationNotice")) == (2 if mode == "paginated" else 0)


def test_a_bounded_resume_has_cursors_that_go_backwards_from_the_end(client: Client, make_thread: MakeThread) -> None:
    thread = make_thread(30)
    answer = client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert answer["thread"]["turns"] == []
    page = client.request(
        "thread/turns/list",
        {"threadId": thread, "cursor": answer["turnsBackwardsCursor"], "limit": 5, "sortDirection": "desc"},
    )
    assert [turn["items"][0]["content"][0]["text"] for turn in page["data"]] == [
        f"question {number}" for number in (29, 28, 27, 26, 25)
    ]
    items = client.request(
        "thread/items/list",
        {"threadId": thread, "cursor": answer["itemsBackwardsCursor"], "limit": 3, "sortDirection": "desc"},
    )
    texts = [entry["item"].get("text") or entry["item"]["content"][0]["text"] for entry in items["data"]]
    assert texts == ["answer 29", "question 29", "answer 28"]


def test_a_page_comes_with_the_resume(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(30, mode=mode)
    wanted = {"limit": 4, "itemsView": "full"}
    answer = client.request("thread/resume", {"threadId": thread, "excludeTurns": True, "initialTurnsPage": wanted})
    page = client.request("thread/turns/list", {"threadId": thread, **wanted})
    assert answer["initialTurnsPage"] == page
    assert len(page["data"]) == 4


def test_a_resumed_thread_cannot_be_written_to_by_anybody_else(
    client: Client, make_thread: MakeThread, home: Path, server: Server
) -> None:
    thread = make_thread()
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    with ThreadStore.open(home) as store, pytest.raises(ThreadBusy):
        store.writer(thread)
    server.shutdown(5)
    with ThreadStore.open(home) as store:
        store.writer(thread).close()


def test_a_thread_that_somebody_else_writes_to_is_read_and_not_resumed(
    client: Client, make_thread: MakeThread, home: Path
) -> None:
    thread = make_thread()
    with ThreadStore.open(home) as store, store.writer(thread):
        code, message = failure(client, "thread/resume", {"threadId": thread})
        assert code == -32600
        assert message.startswith(f"thread {thread} already has an active writer")
        assert len(client.request("thread/turns/list", {"threadId": thread})["data"]) == 3
        child = client.request("thread/fork", {"threadId": thread, "excludeTurns": True})["thread"]
    assert child["forkedFromId"] == thread


def test_a_second_resume_attaches_a_second_watcher(connect: Connect, make_thread: MakeThread) -> None:
    one, two = connect(), connect()
    thread = make_thread()
    first = one.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    second = two.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert first["thread"] == second["thread"]
    two.request("thread/unsubscribe", {"threadId": thread})
    assert two.request("thread/unsubscribe", {"threadId": thread}) == {"status": "notSubscribed"}
    assert one.request("thread/unsubscribe", {"threadId": thread}) == {"status": "unsubscribed"}
    assert one.request("thread/loaded/list", {}) == {"data": [thread], "nextCursor": None}


def test_a_thread_is_resumed_by_its_path(client: Client, make_thread: MakeThread, tmp_path: Path) -> None:
    thread = make_thread()
    path = client.request("thread/read", {"threadId": thread})["thread"]["path"]
    answer = client.request("thread/resume", {"threadId": "", "path": path, "excludeTurns": True})
    assert answer["thread"]["id"] == thread
    name = path.rsplit("/", 1)[1]
    for elsewhere in (path + "x", str(tmp_path / name), f"/\0/{name}"):
        assert failure(client, "thread/resume", {"threadId": "", "path": elsewhere}) == (
            -32600,
            f"failed to resolve rollout path `{elsewhere}`: file does not exist",
        )
        assert failure(client, "thread/resume", {"threadId": thread, "path": elsewhere}) == (
            -32600,
            f"cannot resume running thread {thread} with stale path: requested `{elsewhere}`, active `{path}`",
        )


def test_a_history_that_a_client_gives_becomes_a_new_thread(client: Client, server: Server) -> None:
    items = [
        {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        for role, kind, text in (("user", "input_text", "hello"), ("assistant", "output_text", "hi"))
    ]
    answer = client.request("thread/resume", {"threadId": UNKNOWN, "history": items})
    assert answer["thread"]["id"] != UNKNOWN
    store = server.store
    kept = store.resume(answer["thread"]["id"]).context.items
    assert [msgspec.json.decode(item.payload)["role"] for item in kept] == ["user", "assistant"]


def test_lines_that_nobody_can_read_are_told(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(4, mode=mode)
    path = client.request("thread/read", {"threadId": thread})["thread"]["path"]
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    lines.insert(-3, b'{"timestamp": nonsense\n')
    with open(path, "wb") as file:
        file.writelines(lines)
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    told = client.wait(lambda message: message.get("method") == "warning")["params"]
    assert told["threadId"] == thread
    assert f"{path} at byte {sum(map(len, lines[:-4]))}" in told["message"]
    assert len(client.request("thread/turns/list", {"threadId": thread})["data"]) == 4


# fork


def test_a_fork_has_what_came_before_and_is_told(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(4, mode=mode)
    turns = client.request("thread/turns/list", {"threadId": thread, "sortDirection": "asc"})["data"]
    for params, kept in (
        ({}, 4),
        ({"lastTurnId": turns[1]["id"]}, 2),
        ({"beforeTurnId": turns[1]["id"]}, 1),
        ({"excludeTurns": True}, 0),
    ):
        number = client.send("thread/fork", {"threadId": thread, **params})
        child = client.response(number)["result"]["thread"]
        assert [turn["id"] for turn in child["turns"]] == [turn["id"] for turn in turns[:kept]]
        assert child["forkedFromId"] == thread
        started = place(
            client,
            lambda message, child=child: (
                message.get("method") == "thread/started"  # type: ignore[misc]
                and message["params"]["thread"]["id"] == child["id"]
            ),
        )
        assert place(client, lambda message, number=number: message.get("id") == number) < started  # type: ignore[misc]


def test_a_fork_says_who_began_the_conversation(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(1, mode=mode)
    began = client.request("thread/read", {"threadId": thread})["thread"]["originator"]
    assert began != client.request("thread/start", {})["thread"]["originator"], "the client is another one"
    assert client.request("thread/fork", {"threadId": thread})["thread"]["originator"] == began


def test_what_cannot_be_forked_is_refused(client: Client, make_thread: MakeThread) -> None:
    paginated, legacy = make_thread(2), make_thread(2, mode="legacy")
    for params, message in (
        ({"lastTurnId": "a", "beforeTurnId": "b"}, "`beforeTurnId` cannot be combined with `lastTurnId`"),
        ({"lastTurnId": "nope"}, "turn not found: nope"),
        ({"ephemeral": True}, "ephemeral paginated thread/fork requires `excludeTurns: true`"),
        ({"threadId": legacy, "attachToSource": True}, "attachToSource requires a paginated parent"),
        ({"threadId": UNKNOWN}, f"no rollout found for thread id {UNKNOWN}"),
        ({"threadId": "nope"}, None),
    ):
        code, said = failure(client, "thread/fork", {"threadId": paginated, **params})
        assert code == -32600
        if message is not None:
            assert said == message
        else:
            assert said.startswith("invalid session id: invalid character")


def test_a_thread_without_turns_is_forked(client: Client) -> None:
    thread = client.request("thread/start", {"cwd": "/work"})["thread"]["id"]
    child = client.request("thread/fork", {"threadId": thread, "excludeTurns": True})["thread"]
    assert child["forkedFromId"] == thread


def test_an_ephemeral_fork_leaves_nothing_in_the_home(client: Client, make_thread: MakeThread, home: Path) -> None:
    thread = make_thread()
    before = sorted(home.rglob("rollout-*"))
    child = client.request("thread/fork", {"threadId": thread, "ephemeral": True, "excludeTurns": True})["thread"]
    assert child["ephemeral"] is True
    assert sorted(home.rglob("rollout-*")) == before


# manage


def test_a_name_is_set_and_told_to_every_client(connect: Connect, make_thread: MakeThread, mode: str) -> None:
    one, two = connect(), connect()
    thread = make_thread(mode=mode)
    for loaded in (False, True):
        name = f"name {loaded}"
        if loaded:
            one.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        assert one.request("thread/name/set", {"threadId": thread, "name": f" {name} "}) == {}
        two.wait(
            lambda message, name=name: (
                message.get("method") == "thread/name/updated"  # type: ignore[misc]
                and message["params"] == {"threadId": thread, "threadName": name}
            )
        )
        assert two.request("thread/read", {"threadId": thread})["thread"]["name"] == name
    assert failure(one, "thread/name/set", {"threadId": thread, "name": "  "}) == (
        -32600,
        "thread name must not be empty",
    )


def test_archive_and_unarchive(connect: Connect, make_thread: MakeThread, mode: str) -> None:
    one, two = connect(), connect()
    thread = make_thread(mode=mode)
    one.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert one.request("thread/archive", {"threadId": thread}) == {}
    two.wait(lambda message: message.get("method") == "thread/archived")
    assert notes(two, "thread/status/changed")[-1] == {"threadId": thread, "status": {"type": "notLoaded"}}
    assert one.request("thread/loaded/list", {})["data"] == []
    assert one.request("thread/list", {})["data"] == []
    assert [entry["id"] for entry in one.request("thread/list", {"archived": True})["data"]] == [thread]
    assert len(one.request("thread/read", {"threadId": thread, "includeTurns": True})["thread"]["turns"]) == 3
    archived = f"session {thread} is archived. Run `codex unarchive {thread}` to unarchive it first."
    assert failure(one, "thread/resume", {"threadId": thread}) == (-32600, archived)
    assert failure(one, "thread/fork", {"threadId": thread}) == (-32600, archived)
    assert failure(one, "thread/archive", {"threadId": thread}) == (
        -32600,
        f"no rollout found for thread id {thread}",
    )
    assert one.request("thread/unarchive", {"threadId": thread})["thread"]["id"] == thread
    two.wait(lambda message: message.get("method") == "thread/unarchived")
    assert failure(one, "thread/unarchive", {"threadId": thread}) == (
        -32600,
        f"no archived rollout found for thread id {thread}",
    )
    assert [entry["id"] for entry in one.request("thread/list", {})["data"]] == [thread]


def test_delete_leaves_children_whole(connect: Connect, make_thread: MakeThread, mode: str) -> None:
    one, two = connect(), connect()
    thread = make_thread(mode=mode)
    child = one.request("thread/fork", {"threadId": thread})["thread"]
    one.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert one.request("thread/delete", {"threadId": thread}) == {}
    two.wait(lambda message: message.get("method") == "thread/deleted")
    assert failure(one, "thread/read", {"threadId": thread}) == (-32600, f"thread not loaded: {thread}")
    read = one.request("thread/read", {"threadId": child["id"], "includeTurns": True})["thread"]
    assert read["turns"] == child["turns"]


def test_revert_takes_turns_back_in_both_modes(connect: Connect, make_thread: MakeThread, mode: str) -> None:
    one, two = connect(), connect()
    thread = make_thread(4, mode=mode)
    turns = one.request("thread/turns/list", {"threadId": thread, "sortDirection": "asc"})["data"]
    one.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    answer = one.request("thread/revert", {"threadId": thread, "beforeTurnId": turns[2]["id"]})
    two.wait(lambda message: message.get("method") == "thread/reverted")
    assert [note["status"]["type"] for note in notes(one, "thread/status/changed")] == ["idle", "notLoaded", "idle"]
    page = one.request("thread/turns/list", {"threadId": thread, "cursor": answer["turnsBackwardsCursor"]})
    assert [turn["id"] for turn in page["data"]] == [turns[1]["id"], turns[0]["id"]]
    assert failure(one, "thread/revert", {"threadId": thread, "beforeTurnId": "nope"}) == (
        -32600,
        "turn not found: nope",
    )
    assert one.request("thread/read", {"threadId": thread})["thread"]["status"] == {"type": "idle"}


def test_git_facts_are_set_and_cleared(client: Client, make_thread: MakeThread, mode: str) -> None:
    thread = make_thread(mode=mode)
    update = {"threadId": thread, "gitInfo": {"branch": "main", "sha": "abc"}}
    shown = client.request("thread/metadata/update", update)["thread"]
    assert shown["gitInfo"] == {"sha": "abc", "branch": "main", "originUrl": None}
    client.request("thread/metadata/update", {"threadId": thread, "gitInfo": {"sha": None}})
    read = client.request("thread/read", {"threadId": thread})["thread"]
    assert read["gitInfo"] == {"sha": None, "branch": "main", "originUrl": None}
    assert failure(client, "thread/metadata/update", {"threadId": thread}) == (
        -32600,
        "thread metadata update must include at least one field",
    )
    assert failure(client, "thread/metadata/update", {"threadId": thread, "gitInfo": {}}) == (
        -32600,
        "gitInfo must include at least one field",
    )


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("thread/read", "thread not loaded: {}"),
        ("thread/turns/list", "thread not loaded: {}"),
        ("thread/resume", "no rollout found for thread id {}"),
        ("thread/fork", "no rollout found for thread id {}"),
        ("thread/archive", "no rollout found for thread id {}"),
        ("thread/unarchive", "no archived rollout found for thread id {}"),
        ("thread/delete", "no rollout found for thread id {}"),
        ("thread/name/set", "no rollout found for thread id {}"),
        ("thread/settings/update", "thread not found: {}"),
    ],
)
def test_an_unknown_thread_is_said_to_be_unknown(client: Client, method: str, message: str) -> None:
    assert failure(client, method, {"threadId": UNKNOWN, "name": "x"}) == (-32600, message.format(UNKNOWN))


def test_what_is_replaced_while_it_is_read_is_to_be_asked_for_again(
    client: Client, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread()

    def replaced(*_: object, **__: object) -> None:
        raise RolloutReplaced("the rollout was replaced while it was being read", thread=thread)

    monkeypatch.setattr(Snapshot, "turns", replaced)
    code, said = failure(client, "thread/turns/list", {"threadId": thread})
    assert code == -32600
    assert "replaced" in said


def test_unsubscribing_from_an_unknown_thread_is_no_error(client: Client) -> None:
    assert client.request("thread/unsubscribe", {"threadId": UNKNOWN}) == {"status": "notLoaded"}


# lists


def test_items_are_deferred_and_read_later(client: Client, home: Path) -> None:
    with ThreadStore.open(home) as store, store.create(cwd="/work") as writer, writer.turn("run", model="m") as turn:
        command = {
            "type": "CommandExecution",
            "id": "call_1",
            "command": ["ls"],
            "cwd": "file:///work",
            "parsed_cmd": [],
            "source": "agent",
            "status": "completed",
            "aggregated_output": "much text",
            "exit_code": 0,
            "duration": {"secs": 0, "nanos": 1},
        }
        turn.add({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}, shown=command)
        thread, turn_id = writer.thread_id, turn.id
    asked = {"threadId": thread, "turnId": turn_id}
    page = client.request("thread/items/list", {**asked, "deferOutput": {"commandExecution": True}})
    (entry,) = [entry for entry in page["data"] if entry["item"]["type"] == "commandExecution"]
    assert entry["outputDeferred"] is True
    assert entry["item"]["aggregatedOutput"] is None
    read = client.request("thread/items/read", {**asked, "itemIds": ["call_1", "nope"]})["data"]
    assert [entry["item"]["aggregatedOutput"] for entry in read] == ["much text"]
    first = page["data"][0]["item"]["id"]
    behind = client.request("thread/items/list", {**asked, "cursor": {"type": "item", "itemId": first}})
    assert [entry["item"]["id"] for entry in behind["data"]] == ["call_1"]


def test_a_bad_cursor_is_named(client: Client, make_thread: MakeThread) -> None:
    thread = make_thread()
    for method in ("thread/turns/list", "thread/items/list"):
        assert failure(client, method, {"threadId": thread, "cursor": "garbage"}) == (
            -32600,
            "invalid cursor: garbage",
        )


def test_a_cursor_of_loaded_threads_is_looked_at_where_there_are_some(client: Client, make_thread: MakeThread) -> None:
    nonsense = {"cursor": "nonsense"}
    assert client.request("thread/loaded/list", nonsense) == {"data": [], "nextCursor": None}
    client.request("thread/resume", {"threadId": make_thread(), "excludeTurns": True})
    assert failure(client, "thread/loaded/list", nonsense) == (-32600, "invalid cursor: nonsense")


def test_a_list_of_threads_goes_on_where_it_ended(client: Client, make_thread: MakeThread) -> None:
    made = [make_thread(1) for _ in range(7)]
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = client.request("thread/list", {"limit": 2, "cursor": cursor})
        seen += [thread["id"] for thread in page["data"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert seen == sorted(made, reverse=True)  # by the time in their ids


# unload


def test_a_thread_that_nobody_watches_is_let_go(connect: Connect, make_thread: MakeThread, home: Path) -> None:
    (home / "config.toml").write_text("thread_unload_delay_secs = 0\n")
    watcher, other = connect(), connect()
    watched, left = make_thread(), make_thread()
    for thread in (watched, left):
        watcher.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    watcher.request("thread/unsubscribe", {"threadId": left})
    closed = other.wait(lambda message: message.get("method") == "thread/closed")
    assert closed["params"] == {"threadId": left}
    assert notes(other, "thread/status/changed")[-1] == {"threadId": left, "status": {"type": "notLoaded"}}
    assert other.request("thread/loaded/list", {})["data"] == [watched]
    with ThreadStore.open(home) as store:
        store.writer(left).close()
    watcher.request("thread/resume", {"threadId": left, "excludeTurns": True})
    watcher.close()
    other.wait(lambda message: message.get("method") == "thread/closed" and message["params"]["threadId"] == watched)
    other.wait(lambda _: len(notes(other, "thread/closed")) == 3)
    assert other.request("thread/loaded/list", {})["data"] == []
