"""Sequences of requests that a client of the app-server may send, for :mod:`tests.codex.replaying`.

Each is a function of a :class:`tests.codex.replaying.Play`. It says nothing of what has to come back: it is played
against the real Codex and against threadkeep, and the two transcripts are compared. :data:`SEQUENCES` has them all,
with the stage that they are played on and the history modes that they make sense in.

The prompts tell the model how many tokens to report (``[[usage:N]]``), so that the counts do not depend on the
instructions that a server adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.codex.scenarios import LEGACY, LOW_LIMIT, PAGINATED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.codex.replaying import Client, Play

JsonObject = dict[str, Any]
"""One JSON object."""

USAGE: Final = "[[usage:100]]"
"""The end of a prompt whose response reports 100 tokens."""

UNKNOWN: Final = "01a20539-62c4-7d30-b194-c0a5e6cebff0"
"""A thread id that no home has."""

TOOL: Final = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "inputSchema": {"type": "object", "properties": {"at": {"type": "string"}}},
}
"""A tool of the client."""

BOTH: Final = (PAGINATED, LEGACY)


@dataclass(frozen=True)
class Setting:
    """How the server of a stage is started."""

    listen: str = "ws"
    """``ws`` or ``stdio``."""
    top: str = ""
    """More lines of the top level of the configuration."""
    change: tuple[str, str] = ("", "")
    """A text of the configuration, and what stands there instead."""


STAGES: Final = {
    "plain": Setting(),
    "stdio": Setting(listen="stdio"),
    "compacting": Setting(top=f"model_auto_compact_token_limit = {LOW_LIMIT}\n"),
    "unloading": Setting(top="thread_unload_delay_secs = 1\n"),
    "retrying": Setting(change=("stream_max_retries = 0", "stream_max_retries = 2")),
}
"""The stages. Sequences that look at the whole home are *alone*: each has a server and a home of its own."""


@dataclass(frozen=True)
class Sequence:
    """One sequence."""

    name: str
    """The name of its function."""
    run: Callable[[Play], None]
    """What is done."""
    modes: tuple[str, ...]
    """The history modes that it is played in."""
    stage: str
    """The stage that it is played on."""
    alone: bool
    """Whether it needs a home that nothing else was played on."""
    tokens: bool
    """Whether the counts of tokens do not depend on the server's instructions."""
    ordered: bool
    """Whether what comes has a fixed order: where 0.169.0 itself differs from run to run, it has none."""


SEQUENCES: Final[list[Sequence]] = []
"""Every sequence."""


def sequence(
    *,
    modes: tuple[str, ...] = BOTH,
    stage: str = "plain",
    alone: bool = False,
    tokens: bool = True,
    ordered: bool = True,
) -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    """Add the decorated function to :data:`SEQUENCES`."""

    def add(run: Callable[[Play], None]) -> Callable[[Play], None]:
        SEQUENCES.append(Sequence(run.__name__, run, modes, stage, alone, tokens, ordered))
        return run

    return add


def text(words: str) -> list[JsonObject]:
    """A turn's input of one text."""
    return [{"type": "text", "text": words}]


def message(role: str, words: str) -> JsonObject:
    """A message of a model's history."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": words}]}


# --- the protocol itself -------------------------------------------------------------------------------------------


@sequence(modes=(PAGINATED,))
def handshake(play: Play) -> None:
    """Requests before the handshake, a second handshake, an incomplete one."""
    client = play.stranger("a")
    client.call("thread/list")
    client.call("thread/nope")
    client.call("initialize")
    client.call("initialize", clientInfo={"name": "x"})
    client.initialize()
    client.call("initialize", clientInfo={"name": "x", "version": "1"})
    client.call("thread/nope")


@sequence(modes=(PAGINATED,))
def malformed_messages(play: Play) -> None:
    """Lines that are no message: nothing comes back, and the connection stays open."""
    client = play.client("a")
    for line in (
        "no json",
        "[]",
        '[{"id":50,"method":"configRequirements/read"}]',
        "5",
        '"text"',
        "null",
        "{}",
        '{"id":51}',
        '{"id":null,"method":"configRequirements/read"}',
        '{"id":1.5,"method":"configRequirements/read"}',
        '{"id":true,"method":"configRequirements/read"}',
        '{"id":52,"method":5}',
        '{"method":"no/such/notification"}',
        '{"method":"initialized","params":{}}',
        '{"id":999,"result":{}}',
        '{"id":998,"error":{"code":1,"message":"x"}}',
        '{"id":53,"method":"configRequirements/read","params":[]}',
        '{"id":54,"method":"configRequirements/read","params":"x"}',
        '{"id":55,"method":"thread/read"}',
        '{"id":56,"method":"thread/read","params":null}',
        '{"id":57,"method":"thread/read","params":[]}',
        '{"id":58,"method":"thread/list"}',
        '{"id":59,"method":"configRequirements/read","params":null}',
        '{"id":60,"method":"configRequirements/read"}',
        '{"id":"text","method":"configRequirements/read","params":{}}',
        '{"jsonrpc":"2.0","id":61,"method":"configRequirements/read","extra":1}',
        '{"id":9007199254740993,"method":"configRequirements/read"}',
    ):
        client.send_text(line)
    play.quiet()
    client.call("configRequirements/read", unknown=[1, 2])


@sequence(modes=(PAGINATED,))
def experimental_gate(play: Play) -> None:
    """What a client without the experimental API is refused."""
    client = play.client("a", experimental=False)
    client.call("thread/start", historyMode="paginated")
    client.call("thread/start", dynamicTools=[TOOL])
    client.call("thread/start", environments=[])
    client.call("thread/start", projectId="x")
    thread = str(client.follow("thread/start", "thread/started", cwd=str(play.stage.project))["thread"]["id"])
    client.turn(thread, f"plain {USAGE}")
    client.call("thread/resume", threadId=thread, path="/x")
    client.call("thread/resume", threadId=thread, history=[])
    client.call("thread/resume", threadId=thread, initialTurnsPage={"limit": 1})
    client.resume(thread, excludeTurns=True)
    client.call("thread/fork", threadId=thread, path="/x")
    client.call("thread/fork", threadId=thread, attachToSource=True)
    client.call("turn/start", threadId=thread, input=text("x"), collaborationMode={"mode": "default"})
    for method in (
        "thread/search",
        "thread/searchOccurrences",
        "thread/inject_items",
        "thread/settings/update",
        "thread/readState/update",
        "thread/memoryMode/set",
        "thread/backgroundTerminals/list",
        "thread/queue/list",
        "thread/attachment/list",
        "thread/timeline/list",
        "thread/items/read",
        "collaborationMode/list",
        "thread/goal/get",
        "memory/reset",
    ):
        client.call(
            method, threadId=UNKNOWN, searchTerm="x", items=[], model="x", mode="disabled", turnId="x", itemIds=[]
        )
    for method in (
        "thread/turns/list",
        "thread/items/list",
        "thread/metadata/update",
        "thread/revert",
        "thread/delete",
    ):
        client.call(method, threadId=UNKNOWN, beforeTurnId="x")


@sequence(modes=(PAGINATED,))
def bad_parameters(play: Play) -> None:
    """Parameters that are missing, of another type, out of range, of an unknown variant."""
    client = play.client("a")
    for method in (
        "thread/resume thread/fork thread/read thread/archive thread/unarchive thread/delete thread/unsubscribe "
        "thread/name/set thread/metadata/update thread/compact/start thread/turns/list thread/items/list thread/revert "
        "thread/inject_items thread/search thread/searchOccurrences turn/start turn/steer turn/interrupt "
        "thread/settings/update thread/readState/update thread/items/read thread/memoryMode/set"
    ).split():
        client.call(method)
        client.call(method, threadId=5)
        client.call(method, threadId=None)
    known = {"threadId": UNKNOWN}
    for method, params in (
        ("thread/read", {**known, "includeTurns": "yes"}),
        ("thread/read", {**known, "includeTurns": 1}),
        ("thread/resume", {**known, "excludeTurns": "x"}),
        ("thread/resume", {**known, "sandbox": "none"}),
        ("thread/resume", {**known, "approvalPolicy": "sometimes"}),
        ("thread/resume", {**known, "history": {}}),
        ("thread/start", {"historyMode": "new"}),
        ("thread/start", {"cwd": 5}),
        ("thread/start", {"ephemeral": "x"}),
        ("thread/start", {"config": []}),
        ("thread/start", {"dynamicTools": [{}]}),
        ("thread/start", {"dynamicTools": [{"type": "x"}]}),
        ("thread/turns/list", {**known, "limit": -1}),
        ("thread/turns/list", {**known, "limit": 4294967296}),
        ("thread/turns/list", {**known, "limit": 1.5}),
        ("thread/turns/list", {**known, "limit": "1"}),
        ("thread/turns/list", {**known, "sortDirection": "sideways"}),
        ("thread/turns/list", {**known, "itemsView": "some"}),
        ("thread/items/list", {**known, "cursor": {}}),
        ("thread/items/list", {**known, "cursor": 5}),
        ("thread/items/list", {**known, "sortDirection": "x"}),
        ("thread/items/list", {**known, "deferOutput": True}),
        ("thread/list", {"limit": -1}),
        ("thread/list", {"sortKey": "name"}),
        ("thread/list", {"sortDirection": 5}),
        ("thread/list", {"sourceKinds": ["me"]}),
        ("thread/list", {"sourceKinds": "cli"}),
        ("thread/list", {"cwd": 5}),
        ("thread/list", {"modelProviders": [5]}),
        ("thread/list", {"archived": "x"}),
        ("thread/list", {"cursor": "nonsense"}),
        ("thread/list", {"cursor": ""}),
        ("thread/loaded/list", {"cursor": "nonsense"}),
        ("thread/loaded/list", {"limit": -1}),
        ("turn/start", {**known, "input": "x"}),
        ("turn/start", {**known, "input": [{"type": "smell"}]}),
        ("turn/start", {**known, "input": [{"type": "text"}]}),
        ("turn/start", {**known, "input": [{"text": "x"}]}),
        ("turn/start", {**known, "input": [5]}),
        ("turn/start", {**known, "input": text("x"), "effort": 5}),
        ("turn/start", {**known, "input": text("x"), "sandboxPolicy": {"type": "x"}}),
        ("turn/start", {**known, "input": text("x"), "sandboxPolicy": "x"}),
        ("turn/steer", {**known, "input": text("x")}),
        ("turn/interrupt", {**known}),
        ("thread/name/set", {**known}),
        ("thread/name/set", {**known, "name": 5}),
        ("thread/name/set", {**known, "name": ""}),
        ("thread/name/set", {**known, "name": "  \t"}),
        ("thread/metadata/update", {**known, "gitInfo": "x"}),
        ("thread/metadata/update", {**known, "gitInfo": {"branch": 5}}),
        ("thread/inject_items", {**known, "items": "x"}),
        ("thread/readState/update", {**known, "expectedRevision": "0", "operation": {"type": "x"}}),
        ("thread/readState/update", {**known, "expectedRevision": 0, "operation": {"type": "read"}}),
        ("thread/memoryMode/set", {**known, "mode": "x"}),
        ("thread/fork", {**known, "lastTurnId": 5}),
        ("thread/fork", {**known, "lastTurnId": "a", "beforeTurnId": "b"}),
        ("thread/revert", {**known}),
        ("thread/search", {"searchTerm": ""}),
        ("thread/search", {"searchTerm": "  "}),
        ("thread/search", {"searchTerm": 5}),
        ("model/list", {"limit": "x"}),
        ("account/read", {"refreshToken": "x"}),
        ("config/read", {"includeLayers": "x"}),
    ):
        client.call(method, **params)


@sequence(modes=(PAGINATED,))
def unknown_threads(play: Play) -> None:
    """Ids that are malformed, empty, in another form, or of no thread."""
    client = play.client("a")
    more: dict[str, JsonObject] = {
        "thread/name/set": {"name": "x"},
        "thread/metadata/update": {"gitInfo": {"branch": "x"}},
        "thread/revert": {"beforeTurnId": "x"},
        "thread/inject_items": {"items": [message("user", "x")]},
        "thread/searchOccurrences": {"searchTerm": "x"},
        "turn/start": {"input": text("x")},
        "turn/steer": {"input": text("x"), "expectedTurnId": "x"},
        "turn/interrupt": {"turnId": "x"},
        "thread/settings/update": {"model": "x"},
        "thread/readState/update": {"expectedRevision": "0", "operation": {"type": "read"}},
        "thread/items/read": {"turnId": "x", "itemIds": ["x"]},
        "thread/memoryMode/set": {"mode": "disabled"},
    }
    for method in (
        "thread/resume thread/fork thread/read thread/archive thread/unarchive thread/delete thread/unsubscribe "
        "thread/name/set thread/metadata/update thread/compact/start thread/turns/list thread/items/list thread/revert "
        "thread/inject_items thread/searchOccurrences turn/start turn/steer turn/interrupt thread/settings/update "
        "thread/readState/update thread/items/read thread/timeline/list thread/goal/get thread/memoryMode/set "
        "thread/backgroundTerminals/list thread/queue/list thread/attachment/list"
    ).split():
        for thread in ("no-id", "", UNKNOWN, UNKNOWN.upper(), f"{{{UNKNOWN}}}", UNKNOWN[:-1]):
            client.call(method, threadId=thread, **more.get(method, {}))
    client.call("thread/read", threadId=UNKNOWN, includeTurns=True)
    client.call("thread/resume", threadId=UNKNOWN, excludeTurns=True)


@sequence(modes=(PAGINATED,))
def opt_out(play: Play) -> None:
    """A client that does not want some notifications gets all others."""
    names = [
        "item/agentMessage/delta",
        "thread/started",
        "thread/status/changed",
        "no/such",
        "thread/tokenUsage/updated",
    ]
    client = play.client("a", opt_out=names)
    other = play.client("b")
    thread = str(client.call("thread/start", cwd=str(play.stage.project))["thread"]["id"])
    other.wait("thread/started")
    client.turn(thread, f"quietly {USAGE}")
    client.resume(thread, excludeTurns=True)
    client.follow("thread/archive", "thread/archived", threadId=thread)


@sequence(modes=(PAGINATED,))
def catalogs(play: Play) -> None:
    """Methods that tell of the home and the server, and those that have nothing to tell."""
    client = play.client("a")
    for method in (
        "account/read",
        "configRequirements/read",
        "account/bedrock/checkGovCloudRequirements",
        "experimentalFeature/enablement/set",
        "mcpServerStatus/list",
        "app/list",
        "threadSection/list",
        "account/rateLimits/read",
        "hooks/list",
        "skills/list",
    ):
        client.call(method)


@sequence(modes=(PAGINATED,), stage="stdio")
def over_stdio(play: Play) -> None:
    """A short conversation on standard input and output."""
    client = play.client("a")
    thread = client.start()
    client.turn(thread, f"hello [[reason]] {USAGE}")
    client.call("thread/read", threadId=thread)
    client.call("thread/turns/list", threadId=thread)
    client.send_text("no json")
    client.call("thread/nope")
    client.follow("thread/archive", "thread/archived", threadId=thread)


# --- turns ---------------------------------------------------------------------------------------------------------


def _conversation(client: Client, *prompts: str) -> tuple[str, list[str]]:
    """A new thread with a turn for each prompt: its id and the turns' ids."""
    thread = client.start()
    return thread, [client.turn(thread, f"{prompt} {USAGE}") for prompt in prompts]


@sequence()
def turns_of_one_thread(play: Play) -> None:
    """A new thread, turns with and without reasoning, and what can be read after each."""
    client = play.client("a")
    thread = client.start()
    client.call("thread/read", threadId=thread)
    client.turn(thread, f"hello [[reason]] {USAGE}")
    client.call("thread/read", threadId=thread)
    client.call("thread/read", threadId=thread, includeTurns=True)
    client.turn(thread, f"größe 你好 ☕ {USAGE}", clientUserMessageId="mine")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    many = [*text("two"), *text(f"parts {USAGE}")]
    client.follow("turn/start", "turn/completed", threadId=thread, input=many)
    client.call("thread/turns/list", threadId=thread)
    client.call("thread/items/list", threadId=thread)


@sequence()
def just_started(play: Play) -> None:
    """What a thread can and cannot do before its first turn."""
    client = play.client("a")
    settings: list[tuple[str, JsonObject, tuple[str, ...]]] = [
        ("thread/read", {"includeTurns": True}, ()),
        ("thread/resume", {}, ()),
        ("thread/resume", {"excludeTurns": True}, ()),
        ("thread/archive", {}, ("thread/archived",)),
        ("thread/metadata/update", {"gitInfo": {"branch": "b"}}, ()),
        ("thread/unsubscribe", {}, ()),
        ("thread/inject_items", {"items": [message("user", "injected")]}, ()),
        ("thread/items/list", {}, ()),
        ("thread/searchOccurrences", {"searchTerm": "x"}, ()),
        ("thread/memoryMode/set", {"mode": "disabled"}, ()),
        ("thread/settings/update", {"effort": "low"}, ("thread/settings/updated",)),
        ("turn/interrupt", {"turnId": "x"}, ()),
        ("thread/name/set", {"name": "early"}, ("thread/name/updated",)),
    ]
    # After these 0.169.0 knows a thread in its index that has no records, and says that the records are missing.
    stubs = {"thread/metadata/update", "thread/memoryMode/set"}
    for method, params, notifications in settings:
        thread = client.start()
        client.call("thread/turns/list", threadId=thread)
        client.follow(method, *notifications, threadId=thread, **params)
        client.call("thread/read", threadId=thread)
        if method not in stubs:
            client.call("thread/turns/list", threadId=thread)
    thread = client.start()
    client.follow("thread/name/set", "thread/name/updated", threadId=thread, name="early")
    client.call("thread/read", threadId=thread, includeTurns=True)
    client.resume(thread, excludeTurns=True)
    child = client.fork(thread)
    client.turn(child, f"in the child {USAGE}")
    client.turn(thread, f"first {USAGE}")
    client.call("thread/turns/list", threadId=thread)


@sequence()
def fork_of_a_new_thread(play: Play) -> None:
    """A fork of a thread before its first turn."""
    client = play.client("a")
    thread = client.start()
    client.call("thread/fork", threadId=thread, excludeTurns=True)
    play.quiet()


@sequence()
def deleted_at_once(play: Play) -> None:
    """A thread that is deleted before its first turn."""
    client = play.client("a")
    thread = client.start()
    client.follow("thread/delete", "thread/deleted", threadId=thread)
    client.call("thread/read", threadId=thread)


@sequence()
def pages(play: Play) -> None:
    """Turns and items by page, in both directions, with every view, and cursors that do not fit."""
    client = play.client("a")
    thread, turns = _conversation(client, "one [[reason]]", "two", "three", "four", "five")
    for view in ("notLoaded", "summary", "full"):
        client.call("thread/turns/list", threadId=thread, limit=2, itemsView=view)
    for method in ("thread/turns/list", "thread/items/list"):
        for direction in ("asc", "desc"):
            page = client.call(method, threadId=thread, limit=2, sortDirection=direction)
            if "error" in page:
                break
            back = page["backwardsCursor"]
            other = "desc" if direction == "asc" else "asc"
            while page.get("nextCursor"):
                page = client.call(method, threadId=thread, limit=2, sortDirection=direction, cursor=page["nextCursor"])
            client.call(method, threadId=thread, limit=2, sortDirection=other, cursor=back)
            client.call(method, threadId=thread, limit=2, sortDirection=other, cursor=page["backwardsCursor"])
        for limit in (0, 1, 1000):
            client.call(method, threadId=thread, limit=limit)
        for cursor in ("", "nonsense", "{}", '{"turnId":"nope","includeAnchor":false}'):
            client.call(method, threadId=thread, cursor=cursor)
    client.call("thread/items/list", threadId=thread, turnId=turns[1])
    client.call("thread/items/list", threadId=thread, turnId="nope")
    client.call("thread/items/list", threadId=thread, turnId=turns[1], limit=1, sortDirection="desc")
    page = client.call("thread/turns/list", threadId=thread, limit=2)
    client.turn(thread, f"six {USAGE}")
    client.call("thread/turns/list", threadId=thread, limit=2, cursor=page["nextCursor"])
    client.call("thread/turns/list", threadId=thread, limit=2, sortDirection="asc", cursor=page["backwardsCursor"])
    other_thread, _ = _conversation(client, "elsewhere")
    client.call("thread/turns/list", threadId=other_thread, cursor=page["nextCursor"])
    client.call("thread/items/list", threadId=other_thread, cursor=page["nextCursor"])


@sequence()
def items_by_id(play: Play) -> None:
    """Single items, and items from an anchor."""
    client = play.client("a")
    thread, turns = _conversation(client, "one [[reason]]", "two")
    page = client.call("thread/items/list", threadId=thread)
    if "error" in page:
        return
    ids = [entry["item"]["id"] for entry in page["data"]]
    client.call("thread/items/read", threadId=thread, turnId=turns[0], itemIds=[ids[0], "nope", ids[1]])
    client.call("thread/items/read", threadId=thread, turnId="nope", itemIds=[ids[0]])
    client.call("thread/items/read", threadId=thread, turnId=turns[1], itemIds=[ids[0]])
    client.call("thread/items/read", threadId=thread, turnId=turns[0], itemIds=[])
    client.call("thread/items/list", threadId=thread, deferOutput={"commandExecution": True})


@sequence()
def failed_turns(play: Play) -> None:
    """Turns that the model fails, and the thread after them, here and in another process."""
    client = play.client("a")
    thread = client.start()
    for status in (400, 500, 429, 401):
        client.turn(thread, f"[[fail:{status}]]")
    client.call("thread/read", threadId=thread)
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/items/list", threadId=thread)
    client.turn(thread, f"well {USAGE}")
    client.call("thread/read", threadId=thread)
    play.restart()
    client = play.client("b")
    client.resume(thread)
    client.call("thread/turns/list", threadId=thread, itemsView="summary")


@sequence(modes=(PAGINATED,), stage="retrying", alone=True)
def retries(play: Play) -> None:
    """A model that fails every time, with retries."""
    client = play.client("a")
    thread = client.start()
    client.turn(thread, "[[fail:500]]")
    client.call("thread/turns/list", threadId=thread)


@sequence()
def interrupts(play: Play) -> None:
    """Turns that are interrupted: by the right id, by a wrong one, when none runs."""
    client = play.client("a")
    thread = client.start()
    client.call("turn/interrupt", threadId=thread, turnId="x")
    client.call("turn/steer", threadId=thread, expectedTurnId="x", input=text("y"))
    turn = client.hold(thread, "at first")
    client.call("turn/interrupt", threadId=thread, turnId="zzz")
    client.call("turn/steer", threadId=thread, expectedTurnId="zzz", input=text("y"))
    client.call("turn/steer", threadId=thread, expectedTurnId="", input=text("y"))
    client.call("turn/steer", threadId=thread, expectedTurnId=turn, input=[])
    client.call("thread/read", threadId=thread)
    client.call("thread/read", threadId=thread, includeTurns=True)
    client.call("thread/turns/list", threadId=thread)
    client.interrupt(thread, turn)
    client.call("turn/interrupt", threadId=thread, turnId=turn)
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.turn(thread, f"then {USAGE}")
    client.hold(thread, "and again")
    client.follow("turn/interrupt", "turn/completed", threadId=thread, turnId="")
    client.turn(thread, f"at last {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/items/list", threadId=thread)


@sequence(tokens=False)
def empty_input(play: Play) -> None:
    """Turns without any input: one of its own, and one that would join a turn that runs."""
    client = play.client("a")
    thread, _ = _conversation(client, "one")
    client.follow("turn/start", "turn/completed", threadId=thread, input=[])
    turn = client.hold(thread, "stands")
    client.call("turn/start", threadId=thread, input=[])
    play.quiet()
    client.call("turn/interrupt", threadId=thread, turnId=turn)
    play.quiet()
    client.call("thread/turns/list", threadId=thread, itemsView="full")


@sequence()
def steering(play: Play) -> None:
    """Input for a turn that runs: by ``turn/steer``, and by another ``turn/start``."""
    client = play.client("a")
    thread = client.start()
    turn = client.hold(thread, "stands")
    client.follow("turn/steer", "turn/completed", threadId=thread, expectedTurnId=turn, input=text(f"on {USAGE}"))
    client.hold(thread, "stands again")
    client.follow("turn/start", "turn/completed", threadId=thread, input=text(f"on and on {USAGE}"))
    client.call("turn/steer", threadId=thread, expectedTurnId=turn, input=text("too late"))
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    play.restart()
    client = play.client("b")
    client.call("thread/turns/list", threadId=thread, itemsView="full")


@sequence()
def settings_of_a_turn(play: Play) -> None:
    """Settings that come with a turn stay; ``thread/settings/update`` changes them between turns."""
    client, other = play.client("a"), play.client("b")
    thread, _ = _conversation(client, "one")
    changes = {"effort": "high", "cwd": "/tmp", "approvalPolicy": "on-request", "sandboxPolicy": {"type": "readOnly"}}
    client.turn(thread, f"two {USAGE}", **changes, summary="auto")
    client.call("thread/read", threadId=thread)
    client.resume(thread, excludeTurns=True)
    client.turn(thread, f"three {USAGE}", effort="high")
    cwd = str(play.stage.project)
    client.follow("thread/settings/update", "thread/settings/updated", threadId=thread, effort="low", cwd=cwd)
    client.call("thread/settings/update", threadId=thread, effort="low")
    client.call("thread/settings/update", threadId=thread)
    client.call("thread/settings/update", threadId=thread, approvalPolicy="sometimes")
    client.call("thread/read", threadId=thread)
    other.resume(thread, excludeTurns=True)
    play.restart()
    client = play.client("c")
    client.call("thread/read", threadId=thread)
    client.resume(thread, excludeTurns=True)


@sequence()
def injected_items(play: Play) -> None:
    """Items that a client adds to the model's history show in no list."""
    client = play.client("a")
    thread, _ = _conversation(client, "one")
    client.call("thread/inject_items", threadId=thread, items=[message("user", "in")])
    client.call("thread/inject_items", threadId=thread, items=[message("assistant", "out"), message("user", "in")])
    client.call("thread/inject_items", threadId=thread, items=[])
    client.call("thread/inject_items", threadId=thread, items=[{"type": "nonsense"}])
    client.call("thread/inject_items", threadId=thread, items=[message("user", "in"), 5])
    client.call("thread/inject_items", threadId=thread, items=[{}])
    client.call("thread/read", threadId=thread)
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.turn(thread, f"two {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")


@sequence()
def tools_of_the_client(play: Play) -> None:
    """Calls of a tool that the client brings: answered, refused, answered with nonsense, interrupted, unknown."""
    client = play.client("a")
    thread = client.start(dynamicTools=[TOOL])
    client.begin_turn(thread, f'[[tool:look:{{"at": "x"}}]] go {USAGE}')
    request = client.asked("item/tool/call")
    client.respond(request, {"success": True, "contentItems": [{"type": "inputText", "text": "seen"}]})
    client.wait("turn/completed")
    client.begin_turn(thread, f'[[tool:look:{{"at": "w"}}]] go {USAGE}')
    request = client.asked("item/tool/call")
    client.respond(request, {"success": False, "contentItems": []})
    client.wait("turn/completed")
    client.begin_turn(thread, f'[[tool:look:{{"at": "y"}}]] go {USAGE}')
    request = client.asked("item/tool/call")
    client.send({"id": request["id"], "error": {"code": -32000, "message": "no"}})
    client.wait("turn/completed")
    client.begin_turn(thread, f'[[tool:look:{{"at": "z"}}]] go {USAGE}')
    client.respond(client.asked("item/tool/call"), {"nonsense": 1})
    client.wait("turn/completed")
    turn = client.begin_turn(thread, f'[[tool:look:{{"at": "w"}}]] go {USAGE}')
    client.asked("item/tool/call")
    client.interrupt(thread, turn)
    client.turn(thread, f"[[tool:nosuch:{{}}]] go {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/items/list", threadId=thread)


@sequence()
def tools_of_several_clients(play: Play) -> None:
    """Who is asked when several clients watch; a client that goes while it is asked; a later process."""
    client, other = play.client("a"), play.client("b")
    thread = client.start(dynamicTools=[TOOL])
    client.turn(thread, f"first {USAGE}")
    other.resume(thread, excludeTurns=True)
    other.begin_turn(thread, f'[[tool:look:{{"at": "x"}}]] go {USAGE}')
    play.quiet(0.4)
    asked = [body for body in (m.body for m in client.pipe.messages) if body.get("method") == "item/tool/call"]
    asked += [body for body in (m.body for m in other.pipe.messages) if body.get("method") == "item/tool/call"]
    answer = {"success": True, "contentItems": [{"type": "inputText", "text": "seen"}]}
    client.respond(asked[0], answer)
    play.quiet(0.4)
    client.call("thread/read", threadId=thread)
    play.restart()
    client = play.client("c")
    client.resume(thread, excludeTurns=True)
    client.begin_turn(thread, f'[[tool:look:{{"at": "y"}}]] go {USAGE}')
    client.respond(client.asked("item/tool/call"), answer)
    client.wait("turn/completed")


@sequence(tokens=False)
def compaction(play: Play) -> None:
    """Compaction by hand: of a thread with turns, of an empty one, in the middle of a turn; a resume after it."""
    client = play.client("a")
    thread, turns = _conversation(client, "one", "two")
    client.compact(thread)
    client.turn(thread, f"three {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/items/list", threadId=thread)
    client.hold(thread, "stands")
    client.call("thread/compact/start", threadId=thread)
    client.wait("turn/completed", lambda params: params["turn"]["status"] == "completed")
    client.turn(thread, f"four {USAGE}")
    empty = client.start()
    client.compact(empty)
    client.call("thread/turns/list", threadId=empty, itemsView="full")
    client.fork(thread, lastTurnId=turns[0])
    child = client.fork(thread)
    client.turn(child, f"in the child {USAGE}")
    play.restart()
    client = play.client("b")
    client.resume(thread)
    client.turn(thread, f"five {USAGE}")
    client.call("thread/turns/list", threadId=thread)


@sequence(stage="compacting", tokens=False)
def compaction_by_itself(play: Play) -> None:
    """Compaction that the number of tokens brings about: before a turn, and in the middle of one."""
    client = play.client("a")
    thread = client.start(dynamicTools=[TOOL])
    client.turn(thread, f"one [[usage:{LOW_LIMIT * 2}]]")
    client.turn(thread, f"two [[usage:{LOW_LIMIT // 2}]]")
    client.begin_turn(thread, f'[[tool:look:{{"at": "x"}}]] three [[usage:{LOW_LIMIT * 2}]]')
    answer = {"success": True, "contentItems": [{"type": "inputText", "text": "seen"}]}
    client.respond(client.asked("item/tool/call"), answer)
    client.wait("turn/completed")
    client.turn(thread, f"four [[usage:{LOW_LIMIT // 2}]]")
    client.call("thread/turns/list", threadId=thread, itemsView="full")


# --- the life of a thread ------------------------------------------------------------------------------------------


@sequence()
def names_and_metadata(play: Play) -> None:
    """Names, facts of git, the memory mode, and what was read."""
    client = play.client("a")
    play.client("b")
    thread, _ = _conversation(client, "one", "two")
    for name in ("a name", "größe 你好 ☕", "  spaces  "):
        client.follow("thread/name/set", "thread/name/updated", threadId=thread, name=name)
    client.call("thread/read", threadId=thread)
    for git in ({"branch": "main", "sha": "abc"}, {"originUrl": "https://example.com"}, {"branch": None}, {}, None):
        client.call("thread/metadata/update", threadId=thread, gitInfo=git)
    client.call("thread/metadata/update", threadId=thread)
    client.call("thread/memoryMode/set", threadId=thread, mode="disabled")
    client.call("thread/memoryMode/set", threadId=thread, mode="enabled")
    state = client.call("thread/read", threadId=thread)["readState"]
    read: JsonObject = {"type": "read"}
    client.call("thread/readState/update", threadId=thread, expectedRevision="0", operation=read)
    client.call("thread/readState/update", threadId=thread, expectedRevision=state["revision"], operation=read)
    play.quiet()
    state = client.call("thread/read", threadId=thread)["readState"]
    client.call("thread/readState/update", threadId=thread, expectedRevision=state["revision"], operation=read)
    unread = {"type": "unread"}
    client.call("thread/readState/update", threadId=thread, expectedRevision=state["revision"], operation=unread)
    play.quiet()
    client.call("thread/list", searchTerm="spaces")
    client.turn(thread, f"three {USAGE}")
    client.call("thread/goal/get", threadId=thread)
    for method in ("thread/backgroundTerminals/list", "thread/queue/list", "thread/attachment/list"):
        client.call(method, threadId=thread)
    play.restart()
    client = play.client("c")
    client.call("thread/read", threadId=thread)
    client.follow("thread/name/set", "thread/name/updated", threadId=thread, name="while not loaded")
    client.call("thread/metadata/update", threadId=thread, gitInfo={"branch": "cold"})
    client.call("thread/read", threadId=thread)
    client.call("thread/loaded/list")


@sequence()
def forks(play: Play) -> None:
    """Forks: whole, at a turn, before one, ephemeral, of a fork, of a running thread; forks that cannot be."""
    client, other = play.client("a"), play.client("b")
    thread, turns = _conversation(client, "one", "two [[reason]]", "three")
    client.follow("thread/name/set", "thread/name/updated", threadId=thread, name="a name")
    client.follow("thread/fork", "thread/started", threadId=thread)
    child = client.fork(thread)
    client.call("thread/turns/list", threadId=child, itemsView="full")
    client.turn(child, f"in the child {USAGE}")
    client.call("thread/turns/list", threadId=child)
    client.call("thread/read", threadId=child)
    for key, turn in (("lastTurnId", turns[0]), ("beforeTurnId", turns[1]), ("beforeTurnId", turns[0])):
        part = client.fork(thread, **{key: turn})
        client.call("thread/turns/list", threadId=part)
    impossible: list[JsonObject] = [
        {"lastTurnId": turns[0], "beforeTurnId": turns[1]},
        {"lastTurnId": "nope"},
        {"beforeTurnId": "nope"},
        {"lastTurnId": UNKNOWN},
        {"ephemeral": True, "excludeTurns": False},
        {"modelProvider": "zzz"},
    ]
    for params in impossible:
        client.call("thread/fork", threadId=thread, **{"excludeTurns": True, **params})
    play.quiet()
    lost = client.fork(thread, ephemeral=True)
    client.call("thread/read", threadId=lost)
    client.turn(lost, f"for nobody {USAGE}")
    grandchild = client.fork(child)
    client.turn(grandchild, f"in the grandchild {USAGE}")
    client.call("thread/turns/list", threadId=grandchild)
    changed = client.fork(thread, cwd="/tmp", sandbox="read-only", approvalPolicy="on-request")
    client.call("thread/read", threadId=changed)
    other.call("thread/read", threadId=changed)
    play.restart()
    client = play.client("c")
    cold = client.fork(thread)
    client.turn(cold, f"cold {USAGE}")
    client.call("thread/turns/list", threadId=grandchild)
    client.resume(child, excludeTurns=True)


@sequence()
def fork_of_a_running_thread(play: Play) -> None:
    """Forks while a turn runs: the turn is interrupted in the child, and goes on in the parent."""
    client = play.client("a")
    thread, turns = _conversation(client, "one")
    turn = client.hold(thread, "stands")
    client.call("thread/fork", threadId=thread, excludeTurns=True, lastTurnId=turn)
    child = client.fork(thread)
    client.call("thread/turns/list", threadId=child, itemsView="full")
    part = client.fork(thread, lastTurnId=turns[0])
    client.call("thread/turns/list", threadId=part)
    client.interrupt(thread, turn)
    client.turn(child, f"in the child {USAGE}")
    client.call("thread/turns/list", threadId=child)
    client.call("thread/turns/list", threadId=thread)


@sequence()
def reverts(play: Play) -> None:
    """The turns from one on are taken back, and the thread goes on; a legacy thread cannot do that."""
    client, other = play.client("a"), play.client("b")
    thread, turns = _conversation(client, "one", "two", "three")
    client.call("thread/revert", threadId=thread, beforeTurnId="nope")
    client.call("thread/revert", threadId=thread, beforeTurnId=turns[1])
    if play.mode == LEGACY:
        return  # nothing that comes after it can be compared
    client.wait("thread/reverted")
    client.call("thread/turns/list", threadId=thread)
    client.turn(thread, f"two, again {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/items/list", threadId=thread)
    client.call("thread/read", threadId=thread)
    other.resume(thread)
    turn = client.hold(thread, "stands")
    client.call("thread/revert", threadId=thread, beforeTurnId=turn)
    play.quiet(0.4)
    client.call("thread/turns/list", threadId=thread)
    play.restart()
    client = play.client("c")
    client.follow("thread/revert", "thread/reverted", threadId=thread, beforeTurnId=turns[0])
    play.quiet()
    client.call("thread/turns/list", threadId=thread)
    client.resume(thread, excludeTurns=True)
    client.turn(thread, f"anew {USAGE}")
    client.call("thread/turns/list", threadId=thread)


@sequence()
def archives(play: Play) -> None:
    """An archived thread: what it refuses, how it comes back, how it goes for good."""
    client, other = play.client("a"), play.client("b")
    thread, _ = _conversation(client, "one")
    path = client.call("thread/read", threadId=thread)["thread"]["path"]
    client.follow("thread/archive", "thread/archived", threadId=thread)
    other.wait("thread/archived")
    for method, params in (
        ("thread/resume", {}),
        ("thread/resume", {"path": path}),
        ("thread/fork", {}),
        ("thread/name/set", {"name": "x"}),
        ("thread/metadata/update", {"gitInfo": {"branch": "x"}}),
        ("turn/start", {"input": text("x")}),
        ("thread/compact/start", {}),
        ("thread/read", {}),
        ("thread/read", {"includeTurns": True}),
        ("thread/turns/list", {}),
        ("thread/items/list", {}),
        ("thread/archive", {}),
        ("thread/unsubscribe", {}),
    ):
        client.call(method, threadId=thread, **params)
    client.follow("thread/unarchive", "thread/unarchived", threadId=thread)
    other.wait("thread/unarchived")
    client.call("thread/unarchive", threadId=thread)
    client.call("thread/read", threadId=thread)
    client.resume(thread, excludeTurns=True)
    client.turn(thread, f"back {USAGE}")
    client.follow("thread/archive", "thread/archived", threadId=thread)
    client.follow("thread/delete", "thread/deleted", threadId=thread)
    client.call("thread/unarchive", threadId=thread)
    client.call("thread/delete", threadId=thread)


@sequence(ordered=False)
def archives_of_running_threads(play: Play) -> None:
    """A running turn is interrupted when its thread is archived or deleted; every client hears of it."""
    client, watcher, other = play.client("a"), play.client("b"), play.client("c")
    for method, done in (("thread/archive", "thread/archived"), ("thread/delete", "thread/deleted")):
        thread, _ = _conversation(client, "one")
        watcher.resume(thread, excludeTurns=True)
        client.hold(thread, "stands")
        other.follow(method, done, threadId=thread)
        play.quiet(0.4)
        client.call("turn/start", threadId=thread, input=text("x"))


@sequence()
def deletions(play: Play) -> None:
    """A thread is deleted: loaded, not loaded, with forks, twice."""
    client, other = play.client("a"), play.client("b")
    thread, _ = _conversation(client, "one")
    other.follow("thread/delete", "thread/deleted", threadId=thread)
    client.call("thread/read", threadId=thread)
    client.call("thread/resume", threadId=thread)
    client.call("thread/delete", threadId=thread)
    parent, _ = _conversation(client, "one")
    child = client.fork(parent)
    client.turn(child, f"in the child {USAGE}")
    client.follow("thread/archive", "thread/archived", threadId=parent)
    client.call("thread/turns/list", threadId=child)
    client.turn(child, f"still there {USAGE}")
    play.restart()
    client = play.client("c")
    client.follow("thread/delete", "thread/deleted", threadId=child)
    client.follow("thread/delete", "thread/deleted", threadId=parent)
    client.call("thread/read", threadId=parent)


@sequence()
def deletion_of_a_parent(play: Play) -> None:
    """A thread is deleted that another one was forked from."""
    client = play.client("a")
    parent, _ = _conversation(client, "one")
    child = client.fork(parent)
    client.turn(child, f"in the child {USAGE}")
    client.call("thread/delete", threadId=parent)
    play.quiet()


@sequence()
def ephemeral_threads(play: Play) -> None:
    """A thread that nothing is kept of."""
    client, other = play.client("a"), play.client("b")
    thread = client.start(ephemeral=True)
    other.call("thread/read", threadId=thread)
    other.call("thread/resume", threadId=thread, excludeTurns=True)
    other.call("thread/fork", threadId=thread, excludeTurns=True)
    client.turn(thread, f"one {USAGE}")
    client.call("thread/read", threadId=thread)
    for method, params in (
        ("thread/read", {"includeTurns": True}),
        ("thread/turns/list", {}),
        ("thread/items/list", {}),
        ("thread/timeline/list", {}),
        ("thread/searchOccurrences", {"searchTerm": "one"}),
        ("thread/archive", {}),
        ("thread/delete", {}),
        ("thread/name/set", {"name": "x"}),
        ("thread/metadata/update", {"gitInfo": {"branch": "x"}}),
        ("thread/revert", {"beforeTurnId": "x"}),
        ("thread/memoryMode/set", {"mode": "disabled"}),
        ("thread/inject_items", {"items": [message("user", "in")]}),
    ):
        client.call(method, threadId=thread, **params)
    client.turn(thread, f"two {USAGE}")
    client.interrupt(thread, client.hold(thread, "stands"))
    client.call("thread/unsubscribe", threadId=thread)
    play.quiet()
    client.call("thread/read", threadId=thread)


@sequence()
def resume_of_a_loaded_thread(play: Play) -> None:
    """Another client resumes a thread that is loaded: idle, with other settings, by its path, during a turn."""
    client, other = play.client("a"), play.client("b")
    thread, _ = _conversation(client, "one [[reason]]", "two")
    path = client.call("thread/read", threadId=thread)["thread"]["path"]
    other.resume(thread)
    other.resume(thread, excludeTurns=True)
    for page in ({"limit": 1}, {"itemsView": "full", "sortDirection": "asc"}, {}):
        other.resume(thread, excludeTurns=True, initialTurnsPage=page)
    other.resume(thread, initialTurnsPage={"limit": 1})
    other.resume(thread, excludeTurns=True, model="gpt-5.1", cwd="/tmp", sandbox="read-only")
    other.follow("thread/resume", "thread/goal/cleared", threadId="", path=path, excludeTurns=True)
    other.call("thread/resume", threadId=thread, history=[message("user", "x")])
    other.call("thread/resume", threadId=thread, path="/no/such/file")
    turn = client.hold(thread, "stands")
    other.resume(thread)
    other.resume(thread, excludeTurns=True, initialTurnsPage={"limit": 1, "itemsView": "full"})
    client.interrupt(thread, turn)
    other.wait("turn/completed")


@sequence()
def resume_in_another_process(play: Play) -> None:
    """A thread is resumed after the process that wrote it has ended, with and without turns, with other settings."""
    client = play.client("a")
    thread, _ = _conversation(client, "one [[reason]]", "two")
    path = client.call("thread/read", threadId=thread)["thread"]["path"]
    ways: list[JsonObject] = [
        {},
        {"excludeTurns": True},
        {"excludeTurns": True, "initialTurnsPage": {"limit": 1}},
        {"excludeTurns": True, "cwd": "/tmp", "sandbox": "read-only", "approvalPolicy": "on-request"},
        {"excludeTurns": True, "path": path},
    ]
    for number, params in enumerate(ways):
        play.restart()
        client = play.client(f"b{number}")
        client.call("thread/read", threadId=thread)
        client.call("thread/turns/list", threadId=thread, limit=1)
        client.call("turn/start", threadId=thread, input=text("x"))
        client.resume(thread, **params)
        client.call("thread/read", threadId=thread)
    client.turn(thread, f"three {USAGE}")
    client.call("thread/turns/list", threadId=thread, limit=1)


@sequence()
def resume_after_a_crash(play: Play) -> None:
    """A turn that was running when the process was killed is interrupted for whoever resumes the thread."""
    client = play.client("a")
    thread, _ = _conversation(client, "one")
    client.hold(thread, "stands")
    play.restart()
    client = play.client("b")
    client.call("thread/read", threadId=thread)
    client.call("thread/turns/list", threadId=thread)
    client.resume(thread)
    client.turn(thread, f"two {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")


@sequence()
def start_from_a_history(play: Play) -> None:
    """A thread that begins with a history of the client."""
    client = play.client("a")
    history = [message("user", "before"), message("assistant", "said before")]
    answer = client.follow("thread/resume", "thread/goal/cleared", threadId=UNKNOWN, history=history)
    if "error" in answer:
        return
    thread = answer["thread"]["id"]
    client.call("thread/turns/list", threadId=thread)
    client.turn(thread, f"then {USAGE}")
    client.call("thread/turns/list", threadId=thread, itemsView="full")
    client.call("thread/read", threadId=thread)


# --- several clients and processes ---------------------------------------------------------------------------------


@sequence()
def watchers(play: Play) -> None:
    """Three clients: one that started the thread, one that comes and goes, one that never asks for it."""
    first, second, third = play.client("a"), play.client("b"), play.client("c")
    thread = first.start()
    first.turn(thread, f"for one {USAGE}")
    play.quiet()
    second.resume(thread, excludeTurns=True)
    second.turn(thread, f"for two {USAGE}")
    play.quiet()
    first.follow("thread/name/set", "thread/name/updated", threadId=thread, name="a name")
    first.call("thread/metadata/update", threadId=thread, gitInfo={"branch": "x"})
    first.call("thread/settings/update", threadId=thread, effort="low")
    play.quiet()
    third.begin_turn(thread, f"by one that does not watch {USAGE}")
    first.wait("turn/completed")
    play.quiet()
    third.call("thread/unsubscribe", threadId=thread)
    second.call("thread/unsubscribe", threadId=thread)
    second.call("thread/unsubscribe", threadId=thread)
    first.turn(thread, f"for one again {USAGE}")
    play.quiet()
    child = first.fork(thread)
    second.resume(child, excludeTurns=True)
    first.turn(child, f"in the child {USAGE}")
    play.quiet()
    first.call("thread/unsubscribe", threadId=thread)
    play.quiet()
    first.call("thread/read", threadId=thread)
    second.resume(thread)
    third.follow("thread/archive", "thread/archived", threadId=thread)
    play.quiet()


@sequence()
def nobody_watches(play: Play) -> None:
    """A thread whose watchers have all gone: its turn goes on, and the next one who comes sees the end of it."""
    client, other = play.client("a"), play.client("b")
    thread, _ = _conversation(client, "one")
    turn = client.hold(thread, "stands")
    client.call("thread/unsubscribe", threadId=thread)
    play.quiet()
    client.call("thread/read", threadId=thread)
    other.call("turn/interrupt", threadId=thread, turnId=turn)
    play.quiet()
    other.resume(thread)
    other.turn(thread, f"two {USAGE}")


@sequence(modes=(PAGINATED,), stage="unloading", alone=True)
def unloading(play: Play) -> None:
    """A thread that nobody watches is unloaded after a while, an ephemeral one for good, a running one later."""
    client, other = play.client("a"), play.client("b")
    for params in ({}, {"ephemeral": True}):
        thread = client.start(**params)
        client.turn(thread, f"one {USAGE}")
        client.follow("thread/unsubscribe", "thread/closed", threadId=thread)
        client.call("thread/loaded/list")
        client.call("thread/read", threadId=thread)
    thread = client.start()
    turn = client.hold(thread, "stands")
    client.call("thread/unsubscribe", threadId=thread)
    play.quiet(1.5)
    client.call("thread/loaded/list")
    client.follow("turn/interrupt", "thread/closed", threadId=thread, turnId=turn)
    other.call("thread/loaded/list")


@sequence()
def two_processes(play: Play) -> None:
    """A thread that another process holds can be read, listed and forked, not changed."""
    client = play.client("a")
    thread, _ = _conversation(client, "one")
    other = play.stranger("b", second=True)
    other.initialize()
    for method, params in (
        ("thread/read", {}),
        ("thread/read", {"includeTurns": True}),
        ("thread/turns/list", {}),
        ("thread/resume", {}),
        ("thread/resume", {"excludeTurns": True}),
        ("thread/archive", {}),
        ("thread/delete", {}),
        ("thread/revert", {"beforeTurnId": "x"}),
        ("turn/start", {"input": text("x")}),
        ("thread/unsubscribe", {}),
    ):
        other.call(method, threadId=thread, **params)
    child = other.fork(thread)
    other.turn(child, f"in the child {USAGE}")
    client.turn(thread, f"two {USAGE}")
    other.call("thread/turns/list", threadId=thread)
    client.call("thread/turns/list", threadId=child)


# --- the whole home ------------------------------------------------------------------------------------------------


@sequence(modes=(PAGINATED,), alone=True)
def lists_of_threads(play: Play) -> None:
    """Threads by page, order, text, folder, source and provider; archived ones; those that are loaded."""
    client = play.client("a")
    client.call("thread/list")
    client.call("thread/loaded/list")
    threads = []
    for number, mode in enumerate((PAGINATED, LEGACY, PAGINATED, LEGACY, PAGINATED)):
        thread = client.start(historyMode=mode, **({"cwd": "/tmp"} if number == 1 else {}))
        # The lists order by whole seconds in some places: no two threads may share one.
        client.turn(thread, f"number {number} {USAGE}")
        play.quiet(1.05)
        threads.append(thread)
    client.start()
    client.start(ephemeral=True)
    client.follow("thread/name/set", "thread/name/updated", threadId=threads[0], name="The Name")
    client.follow("thread/archive", "thread/archived", threadId=threads[3])
    client.turn(threads[1], f"newest {USAGE}")
    client.call("thread/list")
    for key in ("created_at", "updated_at", "recency_at"):
        for direction in ("asc", "desc"):
            client.call("thread/list", sortKey=key, sortDirection=direction)
            page = client.call("thread/list", sortKey=key, sortDirection=direction, limit=2)
            first = page
            while page.get("nextCursor"):
                cursor = page["nextCursor"]
                page = client.call("thread/list", sortKey=key, sortDirection=direction, limit=2, cursor=cursor)
            if (key, direction) == ("created_at", "desc"):
                continue  # The way back loses the anchor here in 0.169.0: its cursors are cut to seconds.
            other = "desc" if direction == "asc" else "asc"
            client.call("thread/list", sortKey=key, sortDirection=other, limit=2, cursor=first["backwardsCursor"])
            client.call("thread/list", sortKey=key, sortDirection=other, limit=2, cursor=page["backwardsCursor"])
    filters: list[JsonObject] = [
        {"limit": 0},
        {"limit": 1000},
        {"archived": True},
        {"archived": False},
        {"searchTerm": "number 2"},
        {"searchTerm": "Name"},
        {"searchTerm": "name"},
        {"searchTerm": "nowhere"},
        {"searchTerm": ""},
        {"cwd": "/tmp"},
        {"cwd": ["/tmp", str(play.stage.project)]},
        {"cwd": []},
        {"cwd": "/nowhere"},
        {"sourceKinds": ["vscode"]},
        {"sourceKinds": ["cli"]},
        {"sourceKinds": ["exec", "vscode"]},
        {"sourceKinds": []},
        {"modelProviders": ["mock"]},
        {"modelProviders": ["other"]},
        {"modelProviders": []},
        {"useStateDbOnly": True},
    ]
    for params in filters:
        client.call("thread/list", **params)
    client.call("thread/loaded/list")
    page = client.call("thread/loaded/list", limit=2)
    client.call("thread/loaded/list", limit=2, cursor=page["nextCursor"])
    play.restart()
    client = play.client("b")
    client.call("thread/loaded/list")
    client.call("thread/list")


@sequence(modes=(PAGINATED,), alone=True)
def searches(play: Play) -> None:
    """Words are searched for in all threads, and in one."""
    client = play.client("a")
    thread, _ = _conversation(client, "the quick brown fox [[say:jumps over the lazy dog]]", "another Fox")
    play.quiet(1.05)
    other, _ = _conversation(client, "nothing of the kind", "a fox at last")
    play.quiet(1.05)
    client.follow("thread/name/set", "thread/name/updated", threadId=other, name="vixen")
    for term in ("fox", "FOX", "lazy dog", "vixen", "nowhere", "o", "%"):
        client.call("thread/search", searchTerm=term)
    client.call("thread/search", searchTerm="fox", limit=1)
    client.call("thread/search", searchTerm="fox", archived=True)
    for term in ("fox", "FOX", "lazy", "nowhere", ""):
        client.call("thread/searchOccurrences", threadId=thread, searchTerm=term)
    client.call("thread/searchOccurrences", threadId=thread, searchTerm="fox", limit=1)
