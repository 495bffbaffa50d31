"""Drives the official Python SDK, unmodified, against one app-server, and prints everything that the SDK showed.

    python -m tests.codex.sdk_script HOME PROJECT ROOT -- COMMAND...

``HOME`` is a Codex home whose model is a :class:`tests.codex.mock_responses.MockResponses`, ``PROJECT`` the working
folder of the conversations, ``ROOT`` the folder that holds both (it is named ``<root>`` in the output), ``COMMAND`` the
app-server on stdio. The output is one JSON array of ``[step, value]``, with ids, times, cursors and paths replaced as
:class:`tests.codex.transcripts.Names` does it, so that two servers that behave alike give the same output.

It runs as a program of its own: the SDK takes its environment from the process, and leaves its pipes to the collector.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from openai_codex import (
    ApprovalMode,
    AsyncCodex,
    Codex,
    CodexConfig,
    CodexError,
    Sandbox,
    TextInput,
    Thread,
    TurnHandle,
    TurnResult,
)
from openai_codex.client import CodexClient
from openai_codex.models import Notification, UnknownNotification
from openai_codex.types import ReasoningEffort, SortDirection, ThreadListCwdFilter, ThreadSortKey, ThreadSourceKind
from tests.codex.transcripts import Names

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

JsonObject = dict[str, Any]
"""One JSON object."""

UNKNOWN: Final = "01a20539-62c4-7d30-b194-c0a5e6cebff0"
"""A thread id that no home has."""

PATIENCE: Final = 60.0
"""Seconds that anything may take."""

TOOL: Final[JsonObject] = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "inputSchema": {"type": "object", "properties": {"at": {"type": "string"}}},
}
"""A tool of the client."""


class Recorder:
    """What was seen, in order."""

    def __init__(self, root: Path) -> None:
        """``root`` is the folder whose paths are named ``<root>``."""
        self.names = Names(root)
        self.steps: list[tuple[str, Any]] = []

    def saw(self, step: str, value: Any) -> None:
        """Keep what ``step`` gave."""
        self.steps.append((step, self.names.clean(_plain(value))))

    def error(self, step: str, action: Callable[[], object]) -> None:
        """Keep the exception that ``action`` raises: its type, the type's parents in the SDK, code and message."""
        try:
            value = action()
        except (CodexError, RuntimeError, ValueError) as error:
            kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("openai_codex")]
            code = getattr(error, "code", None)
            self.saw(step, {"raised": kinds or [type(error).__name__], "code": code, "message": str(error)})
        else:
            self.saw(step, {"returned": _plain(value)})


def _plain(value: Any) -> Any:
    """``value`` of the SDK as JSON."""
    if isinstance(value, TurnResult):
        names = ("id", "status", "error", "final_response", "items", "usage")
        times = {name: type(getattr(value, name)).__name__ for name in ("started_at", "completed_at", "duration_ms")}
        return {"turn": {name: _plain(getattr(value, name)) for name in names}, "times": times}
    if isinstance(value, Notification):
        return {"method": value.method, "kind": type(value.payload).__name__, "payload": _plain(value.payload)}
    if isinstance(value, UnknownNotification):
        return value.params
    if isinstance(value, Thread):
        return {"threadId": value.id}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        model: BaseModel = value
        return model.model_dump(mode="json", by_alias=True)
    return getattr(value, "value", value)


def _until_partial(handle: TurnHandle, events: list[Any]) -> None:
    """Read events of a turn that stands, until its partial answer is complete."""
    for event in handle.stream():
        events.append(event)
        if event.method == "item/completed" and _plain(event)["payload"]["item"]["type"] == "agentMessage":
            return


def _turns(thread: Thread) -> list[JsonObject]:
    """The turns of a thread."""
    turns: list[JsonObject] = _plain(thread.read(include_turns=True))["thread"]["turns"]
    return turns


def _wait_for_turns(thread: Thread, number: int) -> None:
    """Wait until a thread has ``number`` turns, none of which runs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        turns = _turns(thread)
        if len(turns) >= number and all(turn["status"] != "inProgress" for turn in turns):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no {number} finished turns in {PATIENCE} s")


def catalogs(codex: Codex, seen: Recorder) -> None:
    """Who the server is, which models and account it has."""
    told = codex.metadata
    seen.saw("metadata", {"name": (told.userAgent or "").partition("/")[0], "family": told.platformFamily})
    for hidden in (False, True):
        models = _plain(codex.models(include_hidden=hidden))["data"]
        seen.saw("models", {"some": bool(models), "defaults": sum(model["isDefault"] for model in models)})
        seen.saw("models: members", sorted({key for model in models for key in model}))
    seen.saw("account", codex.account())


def turns(codex: Codex, seen: Recorder, project: str) -> Thread:
    """Several turns of one thread: to their end at once, event by event, with settings, and one that fails."""
    thread = codex.thread_start(cwd=project, approval_mode=ApprovalMode.deny_all, sandbox=Sandbox.full_access)
    seen.saw("start", thread)
    seen.saw("read before a turn", thread.read())
    seen.saw("run", thread.run("hello [[usage:100]]"))
    seen.saw("run with reasoning", thread.run([TextInput(text="[[reason]] again [[usage:200]]")]))
    seen.saw("stream", list(thread.turn("third [[reason]] [[usage:300]]").stream()))
    seen.error("failed turn", lambda: thread.run("[[fail:400]]"))
    seen.saw("settings", thread.run("quick [[usage:400]]", effort=ReasoningEffort("low"), sandbox=Sandbox.read_only))
    seen.saw("read", thread.read())
    seen.saw("read with turns", thread.read(include_turns=True))
    return thread


def control(codex: Codex, seen: Recorder, project: str) -> None:
    """A turn that is interrupted, one that is steered, both while they stand; names given while a turn runs."""
    thread = codex.thread_start(cwd=project)
    thread.run("first [[usage:100]]")
    handle = thread.turn("[[partial]] to be interrupted")
    events: list[Any] = []
    _until_partial(handle, events)
    seen.saw("before the interrupt", events)
    seen.saw("set_name during a turn", thread.set_name("while it runs"))
    seen.saw("read during a turn", thread.read())
    seen.saw("read with turns during a turn", thread.read(include_turns=True))
    seen.saw("interrupt", handle.interrupt())
    _wait_for_turns(thread, 2)
    seen.error("interrupt again", handle.interrupt)
    handle = thread.turn("[[partial]] to be steered")
    events = []
    _until_partial(handle, events)
    other = thread.turn("joins [[usage:100]]")
    seen.saw("a turn that joins", {"same": other.id == handle.id})
    _wait_for_turns(thread, 3)
    handle = thread.turn("[[partial]] to be steered again")
    _until_partial(handle, [])
    seen.saw("steer", handle.steer("goes on [[usage:100]]"))
    _wait_for_turns(thread, 4)
    seen.error("steer too late", lambda: handle.steer("too late"))
    seen.saw("turns", _turns(thread))


def history(codex: Codex, seen: Recorder, thread: Thread) -> None:
    """Forks, resumes, compaction, names and archives of a thread with turns."""
    for include_turns in (None, True, False):
        child = codex.thread_fork(thread.id, include_turns=include_turns)
        seen.saw("fork", [child, child.read(), child.read(include_turns=True)])
        seen.saw("run in a fork", child.run("in the child [[usage:100]]"))
        again = codex.thread_resume(thread.id, include_turns=include_turns)
        seen.saw("resume", [again, again.id == thread.id])
    lost = codex.thread_fork(thread.id, ephemeral=True, include_turns=False)
    seen.saw("ephemeral fork", [lost, lost.read(), lost.run("for nobody [[usage:100]]")])
    seen.error("ephemeral with turns", lambda: lost.read(include_turns=True))
    seen.saw("run in the parent", thread.run("in the parent [[usage:100]]"))
    compacted = codex.thread_fork(thread.id, include_turns=False)
    before = len(_turns(compacted))
    seen.saw("compact", compacted.compact())
    _wait_for_turns(compacted, before + 1)
    seen.saw("after compaction", _turns(compacted)[-1])
    # The total counts the request for the summary, which is as long as the server's instructions.
    seen.saw("run after compaction", compacted.run("after it [[usage:100]]").final_response)
    seen.saw("set_name", [thread.set_name("a name"), thread.read().thread.name])
    seen.error("an empty name", lambda: thread.set_name(""))


def lists(codex: Codex, seen: Recorder, thread: Thread, project: str) -> None:
    """Lists by page, order, text and folder; archives and what they refuse."""
    page = codex.thread_list(limit=2, sort_key=ThreadSortKey("created_at"))
    seen.saw("list", page)
    seen.saw("next page", codex.thread_list(limit=2, cursor=page.next_cursor, sort_key=ThreadSortKey("created_at")))
    seen.saw(
        "oldest first", codex.thread_list(sort_direction=SortDirection("asc"), sort_key=ThreadSortKey("created_at"))
    )
    seen.saw("by text", codex.thread_list(search_term="a name"))
    seen.saw("by another folder", codex.thread_list(cwd=ThreadListCwdFilter(root="/nowhere")))
    seen.saw("of nobody", codex.thread_list(source_kinds=[ThreadSourceKind("exec")]))
    child = codex.thread_fork(thread.id, include_turns=False)
    child.run("to be archived [[usage:100]]")
    seen.saw("archive", codex.thread_archive(child.id))
    seen.saw("archived", codex.thread_list(archived=True))
    for name, action in (
        ("run", lambda: child.run("x")),
        ("resume", lambda: codex.thread_resume(child.id)),
        ("fork", lambda: codex.thread_fork(child.id)),
        ("archive", lambda: codex.thread_archive(child.id)),
        ("set_name", lambda: child.set_name("x")),
    ):
        seen.error(f"{name} of an archived thread", action)
    back = codex.thread_unarchive(child.id)
    seen.saw("unarchive", [back, back.read()])
    seen.error("unarchive again", lambda: codex.thread_unarchive(child.id))
    seen.saw("resume and run", codex.thread_resume(child.id, include_turns=False).run("back [[usage:100]]"))


def errors(codex: Codex, seen: Recorder) -> None:
    """Unknown and malformed ids."""
    for thread_id in (UNKNOWN, "no-id", ""):
        nobody = Thread(codex._client, thread_id)
        for name, action in (
            ("read", nobody.read),
            ("run", lambda nobody=nobody: nobody.run("x")),
            ("set_name", lambda nobody=nobody: nobody.set_name("x")),
            ("compact", nobody.compact),
            ("resume", lambda thread_id=thread_id: codex.thread_resume(thread_id)),
            ("fork", lambda thread_id=thread_id: codex.thread_fork(thread_id, include_turns=False)),
            ("archive", lambda thread_id=thread_id: codex.thread_archive(thread_id)),
            ("unarchive", lambda thread_id=thread_id: codex.thread_unarchive(thread_id)),
        ):
            seen.error(f"{name} of {thread_id!r}", action)
    seen.error("cursor", lambda: codex.thread_list(cursor="nonsense"))
    seen.error("unknown provider", lambda: codex.thread_start(model_provider="zzz"))


def cold(codex: Codex, seen: Recorder, thread_id: str) -> None:
    """Another process on the same home."""
    seen.saw("list in another process", codex.thread_list(limit=1, search_term="a name"))
    thread = codex.thread_resume(thread_id, include_turns=False)
    seen.saw("resume in another process", [thread, thread.read()])
    seen.saw("run in another process", thread.run("later [[usage:100]]"))
    seen.saw("turns in another process", thread.read(include_turns=True))
    seen.saw("resume with turns", codex.thread_resume(thread_id).read())


def client(config: CodexConfig, seen: Recorder, project: str) -> None:
    """The SDK's client itself: every notification, also those of no turn, and a request of the server."""
    asked: list[Any] = []

    def answer(method: str, params: JsonObject | None) -> JsonObject:
        asked.append([method, params])
        return {"success": True, "contentItems": [{"type": "inputText", "text": "seen"}]}

    with CodexClient(config, approval_handler=answer) as server:
        server.initialize()
        thread = server.thread_start({"cwd": project, "dynamicTools": [TOOL]}).thread
        seen.saw("client: start", thread)
        server.thread_set_name(thread.id, "given at once")
        turn = server.turn_start(thread.id, '[[tool:look:{"at": "x"}]] look [[usage:100]]').turn
        server.thread_set_name(thread.id, "given in a turn")
        seen.saw("client: completed", server.wait_for_turn_completed(turn.id))
        seen.saw("client: asked", asked)
        found: list[Notification] = []
        while not found or found[-1].method != "thread/archived":
            if not found:
                server.thread_archive(thread.id)
            found.append(server.next_notification())
        # The server's own state comes whenever it likes.
        found = [event for event in found if not event.method.startswith("remoteControl/")]
        # A name is given beside the turn: it may be told before the turn is, or in the middle of it.
        named = "thread/name/updated"
        seen.saw("client: names", [event for event in found if event.method == named])
        seen.saw("client: notifications", [event for event in found if event.method != named])


async def coroutines(config: CodexConfig, seen: Recorder, project: str) -> None:
    """The asynchronous face, two threads at once."""
    async with AsyncCodex(config) as codex:
        threads = [await codex.thread_start(cwd=project) for _ in range(2)]
        results = await asyncio.gather(*(thread.run("together [[usage:100]]") for thread in threads))
        seen.saw("async: final responses", [result.final_response for result in results])
        handle = await threads[0].turn("streamed [[usage:100]]")
        seen.saw("async: stream", [event async for event in handle.stream()])
        seen.saw("async: list", len((await codex.thread_list(limit=100)).data))


def record(home: Path, project: Path, root: Path, command: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Drive the server that ``command`` starts, and return what was seen."""
    seen = Recorder(root)
    config = CodexConfig(launch_args_override=command, env={"CODEX_HOME": str(home)}, cwd=str(project))
    with Codex(config) as codex:
        catalogs(codex, seen)
        errors(codex, seen)
        thread = turns(codex, seen, str(project))
        control(codex, seen, str(project))
        history(codex, seen, thread)
        lists(codex, seen, thread, str(project))
    with Codex(config) as codex:
        cold(codex, seen, thread.id)
    client(config, seen, str(project))
    asyncio.run(coroutines(config, seen, str(project)))
    return seen.steps


if __name__ == "__main__":
    where, rest = sys.argv[1:4], tuple(sys.argv[5:])
    steps = record(Path(where[0]), Path(where[1]), Path(where[2]), rest)
    json.dump(steps, sys.stdout, ensure_ascii=False)
    sys.stdout.flush()
    # The SDK's reader threads are daemons that may hold the output's lock: nothing is left to do.
    os._exit(0)
