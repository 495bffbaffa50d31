"""What threadkeep answers in the words of the app-server, so that both answers can be compared member by member.

Codex's answers and ours are compared without members that are null: where one says nothing, the other does not have to
say so. :func:`neutral` and :func:`without_rebuilt` take away the two things that differ on purpose in legacy threads:
ids that are made up while reading, and tool calls that Codex loses and threadkeep rebuilds.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from tests.oracle import context as oracle

from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.codex.client import AppServer

    from threadkeep.store import Page, Resumed, Thread, ThreadStore

Json = dict[str, Any]
View = Literal["full", "summary", "notLoaded"]

MOST_PAGES: Final = 2_000
"""More pages than any list here has: a cursor that goes round in a circle ends a test."""

TOOLS: Final = frozenset(
    {
        "collabAgentToolCall",
        "commandExecution",
        "dynamicToolCall",
        "fileChange",
        "imageGeneration",
        "imageView",
        "mcpToolCall",
        "webSearch",
    }
)
"""Types of the items that threadkeep rebuilds from calls and their outputs."""

_MADE_UP: Final = re.compile(r"^(item|rollout)-\d+$")


def without_nulls(value: Any) -> Any:
    """A copy of JSON values without the members that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """What a store answered as JSON values, without nulls."""
    return without_nulls(json.loads(msgspec.json.encode(value)))


# --- all pages ----------------------------------------------------------------------------------------------------


def our_turns(
    store: ThreadStore, thread: str, view: View = "full", *, descending: bool = True, limit: int = 100
) -> list[Json]:
    """All turns of a thread by threadkeep, page by page."""
    return _ours(lambda cursor: store.turns(thread, cursor=cursor, limit=limit, descending=descending, view=view))


def our_items(
    store: ThreadStore, thread: str, *, turn: str | None = None, descending: bool = False, limit: int = 100
) -> list[Json]:
    """All items of a thread, or of one of its turns, by threadkeep, page by page."""
    return _ours(lambda cursor: store.items(thread, turn=turn, cursor=cursor, limit=limit, descending=descending))


def their_turns(
    server: AppServer, thread: str, view: View = "full", *, descending: bool = True, limit: int = 100
) -> list[Json]:
    """All turns of a thread by Codex, page by page."""
    return _theirs(server, "thread/turns/list", thread, descending=descending, limit=limit, itemsView=view)


def their_items(
    server: AppServer, thread: str, *, turn: str | None = None, descending: bool = False, limit: int = 100
) -> list[Json]:
    """All items of a thread, or of one of its turns, by Codex, page by page."""
    more = {} if turn is None else {"turnId": turn}
    return _theirs(server, "thread/items/list", thread, descending=descending, limit=limit, **more)


def _ours(page_at: Callable[[str | None], Page]) -> list[Json]:
    found: list[Json] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = page_at(cursor)
        found += plain(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


def _theirs(server: AppServer, method: str, thread: str, *, descending: bool, limit: int, **params: Any) -> list[Json]:
    asked = {"threadId": thread, "limit": limit, "sortDirection": "desc" if descending else "asc", **params}
    found: list[Json] = []
    for _ in range(MOST_PAGES):
        page = server.request(method, asked)
        found += without_nulls(page["data"])
        if page.get("nextCursor") is None:
            return found
        asked["cursor"] = page["nextCursor"]
    raise AssertionError("the pages do not end")


# --- turns --------------------------------------------------------------------------------------------------------


def neutral(turns: Sequence[Json]) -> list[Json]:
    """A copy of turns without ids that are made up while reading: Codex counts records, threadkeep names places."""
    copy: list[Json] = json.loads(json.dumps(turns))
    for turn in copy:
        turn["id"] = _MADE_UP.sub(r"\1", turn["id"])
        for item in turn["items"]:
            item["id"] = _MADE_UP.sub(r"\1", item["id"])
    return copy


def without_rebuilt(ours: Sequence[Json], theirs: Sequence[Json]) -> list[Json]:
    """A copy of our neutral turns without the tool items that theirs, in the same places, do not have."""
    kept: list[Json] = []
    for number, turn in enumerate(ours):
        known = {item["id"] for item in theirs[number]["items"]} if number < len(theirs) else set()
        items = [item for item in turn["items"] if item["type"] not in TOOLS or item["id"] in known]
        kept.append({**turn, "items": items})
    return kept


def flattened(turns: Sequence[Json]) -> list[Json]:
    """Full turns, oldest first, as the entries of an item list."""
    return [
        {
            "turnId": turn["id"],
            "item": item,
            **{name: item[name] for name in ("startedAtMs", "completedAtMs") if name in item},
        }
        for turn in turns
        for item in turn["items"]
    ]


# --- threads ------------------------------------------------------------------------------------------------------


def thread_object(thread: Thread, home: str) -> Json:
    """The members of the app-server's thread object that a store knows."""
    git = thread.git
    stated: Json = without_nulls(
        {
            "id": thread.id,
            "sessionId": thread.session_id,
            "forkedFromId": thread.forked_from_id,
            "parentThreadId": thread.parent_thread_id,
            "name": thread.name,
            "preview": thread.preview,
            "ephemeral": thread.ephemeral,
            "historyMode": thread.mode,
            "model": thread.model,
            "modelProvider": thread.model_provider,
            "reasoningEffort": thread.effort,
            "cwd": thread.cwd,
            "gitInfo": git and {"sha": git.commit_hash, "branch": git.branch, "originUrl": git.repository_url},
            "source": _source(thread.source),
            "threadSource": thread.thread_source,
            "originator": thread.originator,
            "cliVersion": thread.cli_version,
            "agentNickname": thread.agent_nickname,
            "agentRole": thread.agent_role,
            "path": f"{home}/{thread.location}".removesuffix(".zst"),
            "createdAt": thread.created_ms // 1000,
            "updatedAt": thread.updated_ms // 1000,
        }
    )
    return stated


def _source(source: Any) -> Any:
    """Where a thread was begun, as the app-server spells it."""
    if isinstance(source, dict) and "subagent" in source:
        return {"subAgent": source["subagent"]}
    return source


def differences(ours: Json, theirs: Json, *, leave: Sequence[str] = ()) -> Json:
    """The members that differ, each with our value and theirs; of theirs only those count that we state too."""
    return {
        name: (ours.get(name), theirs.get(name))
        for name in sorted(ours.keys() | (theirs.keys() & STATED))
        if name not in leave and not _same(name, ours.get(name), theirs.get(name))
    }


def _same(name: str, ours: Any, theirs: Any) -> bool:
    """Whether a member is the same; a time in a row of Codex's is milliseconds from that of the file it is about."""
    if name in {"createdAt", "updatedAt"} and isinstance(ours, int) and isinstance(theirs, int):
        return abs(ours - theirs) <= 1
    return bool(ours == theirs)


STATED: Final = frozenset(
    "id sessionId forkedFromId parentThreadId name preview ephemeral historyMode model modelProvider reasoningEffort "
    "cwd gitInfo source threadSource originator cliVersion agentNickname agentRole path createdAt updatedAt".split()
)
"""The members of :func:`thread_object`. The others are states of a running server, or stand in its SQLite alone."""


# --- the model context --------------------------------------------------------------------------------------------


KNOWN_MODEL: Final = ("tokens", 48_000)
"""How much of one tool output a model that Codex knows is sent: 12,000 tokens of 4 bytes."""


def history_sent(resumed: Resumed) -> list[Json]:
    """What a provider is sent of the model context that a store computed, for a model that Codex knows."""
    items = resumed.context.items
    history = [json.loads(bytes(item.payload)) for item in items]
    metadata = [json.loads(bytes(item.metadata)) if len(item.metadata) else None for item in items]
    uncut = sum(item.checkpointed for item in items)
    return oracle.normalise(history, metadata, uncut=uncut, limit=KNOWN_MODEL)


def verified(store: ThreadStore, thread: str) -> str | None:
    """What ``verify`` has to say against a thread; None where all is well."""
    try:
        found = store.verify(thread)
    except ThreadkeepError as error:
        return repr(error)
    return None if found.ok else f"{found.problem} {[check for check in found.checks if not check.ok]} {found.damage}"
