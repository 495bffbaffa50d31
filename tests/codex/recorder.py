"""Records how a Codex binary answers for a home that it did not write: the ``expected.json`` of a fixture.

The home is copied, without SQLite files, so that the binary has nothing but the rollouts, and each thread is asked,
oldest first, what a client would ask: read, resume, list turns and items. Then every thread runs one more turn with
the prompt :data:`PROBE`, and what the model was sent is the model context that the binary made of the rollout.

What is recorded, per thread, in the order in which it was asked (``{"error": …}`` stands for an answer that failed):

=============  =====================================================================================================
``read_cold``  ``thread/read`` before anything else
``resume``     ``thread/resume`` with its turns (inherited ones may be missing: see :func:`_index_ancestors`)
``turns``      ``thread/turns/list`` after it, all ancestors indexed: items view ``full``, limit 100, newest first
``items``      ``thread/items/list`` after it: limit 100, oldest first
``read``       ``thread/read`` with turns, after the resume
``probe``      ``status``: of the turn; ``input``: the items that its model call was sent; ``appended``: the records
               that the resume and the probe added to the thread's rollouts, each as ``[type, payload type, role, id]``
=============  =====================================================================================================

To keep the files small, what is the same twice is there once, and members that are null are left out everywhere but
in ``probe.input``:

* a thread object of ``resume`` and ``read`` has only the members that differ from the one in ``read_cold``, and so have
  the rows of ``list`` (with their ``id``);
* ``turns.data`` and the turns of ``read`` are ``{"same_as": "resume"}`` when they are the resumed turns (which are
  oldest first, so ``turns.data`` is then their reverse);
* an item of ``items`` is ``{"same_as": its id}`` when the resumed turn has the same item.

The first item of ``probe.input`` is the base instructions as a developer message: :data:`BASE_INSTRUCTIONS` when they
come from the rollout, :data:`SCRUBBED` when they are the reader's own. The probe adds its prompt and the context that
it finds changed: those have the ids of ``appended``. Everything else in ``probe.input`` comes from the rollout.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from tests.codex.client import AppServer, JsonObject, RpcError, write_config
from tests.codex.mock_responses import MockResponses
from tests.codex.scrub import HOME, Scrubber, rollout_files, thread_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROBE: Final = "probe"
"""The prompt of the turn that shows the model context."""

FILE_TIME: Final = 1_767_225_600
"""The modification time that every copied rollout gets, 2026-01-01 00:00 UTC: Codex shows it as ``updatedAt``."""


def copy_home(source: Path, target: Path) -> None:
    """Copy the rollouts and the name index of ``source`` to the new folder ``target``, with :data:`FILE_TIME`."""
    for path in [*rollout_files(source), source / "session_index.jsonl"]:
        if path.exists():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            os.utime(copy, (FILE_TIME, FILE_TIME))


def all_strings(value: object) -> set[str]:
    """Every string in ``value``, names of members too."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return set(value).union(*(all_strings(member) for member in value.values()))
    if isinstance(value, list):
        return set().union(*(all_strings(member) for member in value))
    return set()


def record_expected(fixture: Path, binary: Path, root: Path, ours: Iterable[str] = ()) -> JsonObject:
    """How ``binary`` answers for the home ``fixture``.

    ``root`` is a new folder to work in; ``ours`` are texts that are kept beside those that the fixture holds.
    """
    home = root / ".codex"
    project = root / "project"
    project.mkdir(parents=True)
    copy_home(fixture, home)
    with MockResponses(id_prefix="f") as mock:
        write_config(home, mock.base_url)
        with AppServer([binary, "app-server"], home=home, cwd=project, stderr=root / "stderr.log") as server:
            server.initialize("expected")
            recorded: JsonObject = {"list": _ask(server, "thread/list", {}), "threads": []}
            recorded["list_archived"] = _ask(server, "thread/list", {"archived": True})
            for thread in dict.fromkeys(thread_id(path) for path in _oldest_first(home)):
                recorded["threads"].append(_record_thread(server, mock, home, thread))
    scrubber = _scrubber(fixture, home, root, recorded)
    scrubber.add_ours(ours)
    _shorten(recorded)
    return dict(scrubber.value(recorded))


def _oldest_first(home: Path) -> list[Path]:
    """The rollouts by name, which is by time: a fork comes after what it was forked from."""
    return sorted(rollout_files(home), key=lambda path: path.name)


def _scrubber(fixture: Path, home: Path, root: Path, recorded: JsonObject) -> Scrubber:
    """A scrubber that keeps what the fixture holds and names the folders of the recording."""
    scrubber = Scrubber([(str(home), "$HOME_DIR"), (str(root / "project"), f"{HOME}/elsewhere"), (str(root), HOME)])
    for path in rollout_files(fixture):
        for line in path.read_bytes().splitlines():
            scrubber.add_ours(all_strings(json.loads(line)))
    scrubber.add_ours([PROBE, f"mock answer to: {PROBE}", *_error_messages(recorded)])
    return scrubber


def _error_messages(recorded: JsonObject) -> list[str]:
    """The messages of the requests that failed: these are facts about the protocol, and kept."""
    answers = [answer for thread in recorded["threads"] for answer in thread.values() if isinstance(answer, dict)]
    return [answer["error"]["message"] for answer in answers if isinstance(answer.get("error"), dict)]


def _ask(server: AppServer, method: str, params: JsonObject) -> JsonObject:
    """The result of a request, or its error as ``{"error": …}``."""
    try:
        return server.request(method, params, timeout=30.0)
    except RpcError as error:
        return {"error": error.error}


def _record_thread(server: AppServer, mock: MockResponses, home: Path, thread: str) -> JsonObject:
    """Everything that is asked about one thread."""
    before = {path: path.stat().st_size for path in rollout_files(home) if thread_id(path) == thread}
    page: JsonObject = {"threadId": thread, "limit": 100}
    answers: JsonObject = {
        "id": thread,
        "rollouts": [str(path.relative_to(home)) for path in before],
        "read_cold": _ask(server, "thread/read", {"threadId": thread}),
        "resume": _ask(server, "thread/resume", {"threadId": thread}),
    }
    _index_ancestors(server, answers["resume"])
    answers |= {
        "turns": _ask(server, "thread/turns/list", {**page, "itemsView": "full", "sortDirection": "desc"}),
        "items": _ask(server, "thread/items/list", {**page, "sortDirection": "asc"}),
        "read": _ask(server, "thread/read", {"threadId": thread, "includeTurns": True}),
    }
    if "error" not in answers["resume"]:
        answers["probe"] = _probe(server, mock, home, thread, before)
    return answers


def _index_ancestors(server: AppServer, resumed: JsonObject) -> None:
    """Make Codex index the rollouts that a paginated thread inherits from.

    Without its projection a resume indexes the thread's own rollout only, and the lists then lack inherited turns in
    silence (storage.md 5.1). A fork through a turn indexes every ancestor; an ephemeral one leaves nothing behind.
    """
    thread = resumed.get("thread", {})
    if thread.get("historyMode") == "paginated" and thread["turns"]:
        params = {"lastTurnId": thread["turns"][-1]["id"], "ephemeral": True, "excludeTurns": True}
        _ask(server, "thread/fork", {"threadId": thread["id"], **params})


def _probe(server: AppServer, mock: MockResponses, home: Path, thread: str, before: dict[Path, int]) -> JsonObject:
    """Run the probe turn and say what the model was sent and what the rollouts got."""
    calls = len(mock.model_calls)
    try:
        turn = server.run_turn(thread, PROBE, timeout=30.0)
    except RpcError as error:
        return {"error": error.error}
    sent = [call for call in mock.model_calls[calls:] if call.prompt == PROBE]
    probe: JsonObject = {"status": turn["status"], "input": sent[0].input if sent else None, "appended": []}
    server.settle()
    for path in rollout_files(home):
        if thread_id(path) == thread:
            with path.open("rb") as file:
                file.seek(before.get(path, 0))
                probe["appended"] += [_outline(json.loads(line)) for line in file]
    return probe


def _outline(record: JsonObject) -> list[str]:
    """A record in a few words."""
    payload = record["payload"]
    words = [record["type"], *(payload.get(member) for member in ("type", "role", "id"))]
    return [word for word in words if word is not None]


def _without_nulls(value: Any) -> Any:
    """A copy without the members that are null."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value


def _shorten(recorded: JsonObject) -> None:
    """Leave out what is there twice, and nulls."""
    for answers in [recorded, *recorded["threads"]]:
        for name in answers.keys() - {"threads", "probe"}:
            answers[name] = _without_nulls(answers[name])
    for answers in recorded["threads"]:
        _shorten_thread(answers)
    cold = {answers["id"]: answers["read_cold"].get("thread", {}) for answers in recorded["threads"]}
    for listed in ("list", "list_archived"):
        rows = recorded[listed].get("data", [])
        rows[:] = [{"id": row["id"], **_difference(row, cold.get(row["id"], {}))} for row in rows]


def _shorten_thread(answers: JsonObject) -> None:
    """Leave out what is there twice in the answers about one thread."""
    known = answers["read_cold"].get("thread", {})
    resumed = answers["resume"].get("thread", {}).get("turns")
    if answers["turns"].get("data", [])[::-1] == resumed:
        answers["turns"]["data"] = {"same_as": "resume"}
    if answers["read"].get("thread", {}).get("turns", ()) == resumed:
        answers["read"]["thread"]["turns"] = {"same_as": "resume"}
    items = {(turn["id"], item["id"]): item for turn in resumed or [] for item in turn["items"]}
    for row in answers["items"].get("data", []):
        if items.get((row["turnId"], row["item"]["id"])) == row["item"]:
            row["item"] = {"same_as": row["item"]["id"]}
    for method in ("resume", "read"):
        if "thread" in answers[method]:
            answers[method]["thread"] = _difference(answers[method]["thread"], known)


def _difference(thread: JsonObject, known: JsonObject) -> JsonObject:
    """The members of ``thread`` that are not in ``known`` or differ from there."""
    return {name: value for name, value in thread.items() if name not in known or known[name] != value}
