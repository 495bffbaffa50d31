"""What clients send: cursors, messages and their parameters; and the configuration that a server starts with."""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

import msgspec
from tests.appserver.in_process import EchoEngine
from tests.faults.fuzz_ground import BrokenPromise, Ground, answered, opened, promises
from tests.faults.fuzz_seeds import SECRET, THREADS

from threadkeep.appserver import Server
from threadkeep.appserver._lane import Lanes
from threadkeep.appserver._outbox import Outbox
from threadkeep.appserver._workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.appserver._connection import Connection
    from threadkeep.store import ThreadStore

__all__ = [
    "config_words",
    "configs",
    "cursors",
    "message_words",
    "messages",
    "run_config",
    "run_cursors",
    "run_messages",
]

Json = dict[str, Any]

_WAIT_SECONDS: Final = 20.0

# Cursors

_KNOWN: Final = (THREADS[1], THREADS[2])


@functools.cache
def _threads() -> tuple[Ground, ThreadStore]:
    """A home for all cursors of a process: nothing that is asked changes it."""
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    ground = kept.enter_context(Ground.fresh())
    for thread, mode in zip(_KNOWN, ("paginated", "legacy"), strict=True):
        ground.put_thread(thread, mode, text=f"asked of {mode}")
    return ground, kept.enter_context(opened(ground))


@functools.cache
def _whole_lists() -> dict[str, list[bytes]]:
    return {name: _keys(ask(limit=100).data) for name, ask in _asks(_threads()[1]).items()}


def _asks(store: ThreadStore) -> dict[str, Callable[..., Any]]:
    """Every list that takes a cursor."""
    asks: dict[str, Callable[..., Any]] = {}
    for thread in _KNOWN:
        for down in (True, False):
            asks[f"turns {thread} {down}"] = functools.partial(store.turns, thread, descending=down)
            asks[f"items {thread} {down}"] = functools.partial(store.items, thread, descending=down)
    for down in (True, False):
        for sort in ("updated_at", "created_at", "recency_at"):
            asks[f"list {sort} {down}"] = functools.partial(store.list, sort=sort, descending=down)
        asks[f"search {down}"] = functools.partial(store.search, "asked", descending=down)
    return asks


def run_cursors(data: bytes) -> None:
    """A cursor of any bytes, or of any JSON, for every list: refused, or a page of that list, in its order."""
    text = data.decode("utf-8", "surrogateescape")
    if data[:1] == b"[":
        text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    ground, store = _threads()
    whole = _whole_lists()
    with promises(ground):
        for name, ask in _asks(store).items():
            page = answered(functools.partial(ask, limit=2, cursor=text))
            if page is None:
                continue
            if not _is_part(_keys(page.data), whole[name]):
                raise BrokenPromise(f"a cursor led out of {name}: {page.data}")
            if name.startswith(("turns", "items")) and data[:1] == b"[":
                _anchored(ground, json.loads(data))
        for thread in _KNOWN:
            with contextlib.closing(store.snapshot(thread)) as snapshot:
                answered(functools.partial(snapshot.occurrences, "asked", cursor=text))


def _anchored(ground: Ground, cursor: list[Any]) -> None:
    """A cursor that is taken stands at a record that still is what it was."""
    rollout, offset = cursor[3]
    (place,) = Path(ground.home).rglob(f"rollout-*-{rollout}.jsonl")
    line = place.read_bytes()[offset:].partition(b"\n")[0]
    if hashlib.sha256(line).hexdigest()[:16] != cursor[6]:
        raise BrokenPromise(f"a cursor was taken whose record is not what it was: {cursor}")


def _keys(data: Sequence[Any]) -> list[bytes]:
    return [msgspec.json.encode(entry) for entry in data]


def _is_part(page: list[bytes], whole: list[bytes]) -> bool:
    """Whether a page is a stretch of the whole list."""
    return any(whole[at : at + len(page)] == page for at in range(len(whole) + 1))


@functools.cache
def cursors() -> Sequence[bytes]:
    """Cursors that were given out, as callers keep them and as the JSON that they are."""
    found = [b"", b"=", b"e30", b"[]", b"\xff", b"2026-11-22T11:30:03Z|" + THREADS[1].encode(), b"A" * 20_000]
    found += [b'["updated_at",true,1,"x",' + b"[" * 3_000, b"[" * 9_000]
    for ask in _asks(_threads()[1]).values():
        page = ask(limit=1)
        for text in (page.next_cursor, page.backwards_cursor):
            if text is not None:
                found += [text.encode(), base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))]
    for cursor in [json.loads(text) for text in found if text.startswith(b"[1,") and text.endswith(b"]")]:
        found.append(json.dumps([*cursor[:6], "0123456789abcdef", *cursor[7:]], separators=(",", ":")).encode())
    return list(dict.fromkeys(found))


# Messages


def run_messages(data: bytes) -> None:
    """Lines to an app-server: each request is answered once, nothing is unexpected, and the server goes on."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        ground.put_thread(THREADS[2], "legacy")
        lines = data.replace(b"OUTSIDE", ground.secret.encode()).split(b"\n")[:30]
        with promises(ground, reading=False, seconds=60, also=("/",)):
            _converse(ground, lines, shake=b'"initialize"' not in lines[0])


def _converse(ground: Ground, lines: Sequence[bytes], *, shake: bool) -> None:
    unexpected: list[BaseException] = []
    plain = Server._unexpected

    def note(error: BaseException) -> Any:
        unexpected.append(error)
        with mock.patch("traceback.print_exception"):
            return plain(error)

    with mock.patch.object(Server, "_unexpected", staticmethod(note)), _Line(ground) as line:
        if shake:
            line.shake_hands()
        for message in lines:
            line.say(message)
        line.hear_all()
    if unexpected:
        error = unexpected[0]
        raise BrokenPromise(f"unexpected: {type(error).__name__}: {error}") from error


@functools.cache
def _pools() -> tuple[Workers, Workers, Workers]:
    return Workers("request", 32), Workers("answer", 64), Workers("urgent", 16)


class _Line:
    """A client without a thread of its own, and its server."""

    def __init__(self, ground: Ground) -> None:
        self._server = Server(ground.home, engine=EchoEngine())
        self._server._warmed = True  # what it loads ahead is no business of this
        # Workers wait for the next request as long as the process lives: one pool for all servers of this process.
        self._server.workers, self._server.bulk, self._server._urgent = _pools()
        self._server._lanes = Lanes(self._server.workers)
        self._unsure = False
        self._outbox = Outbox()
        self._connection: Connection = self._server.connect(self._outbox)
        self._awaited: dict[str, int] = {}
        self._heard: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.disconnect(self._connection)
        self._server.shutdown(2)

    def shake_hands(self) -> None:
        self.say(
            b'{"id":"hello","method":"initialize","params":{"clientInfo":{"name":"fuzz","title":null,"version":"1"},'
            b'"capabilities":{"experimentalApi":true}}}'
        )
        self.say(b'{"method":"initialized"}')

    def say(self, message: bytes) -> None:
        known = _request_id(message)
        if known is not None:
            self._awaited[known] = self._awaited.get(known, 0) + 1
        elif b"id" in message:
            self._unsure = True  # whether it is a request that must be answered
        try:
            self._connection.receive(message)
        except Exception as error:
            raise BrokenPromise(f"{type(error).__name__}: {error} on {message[:200]!r}") from error

    def hear_all(self) -> None:
        """Wait for the answers, then ask something plain: it is answered, too."""
        self._hear()
        self.shake_hands()  # for a client that had not got so far
        self.say(b'{"id":"last","method":"thread/loaded/list","params":{}}')
        self._hear()
        for known, times in self._heard.items():
            if times > self._awaited.get(known, times) and not self._unsure:
                raise BrokenPromise(f"{times} answers to the {self._awaited[known]} requests {known}")

    def _hear(self) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        pieces: list[bytes] = []
        while any(self._heard.get(known, 0) < times for known, times in self._awaited.items()):
            taken = self._outbox.take(0.5)
            if taken is not None:
                pieces.append(taken[0])
                if taken[1]:
                    self._take(b"".join(pieces))
                    pieces.clear()
            elif time.monotonic() > deadline:
                missing = [known for known in self._awaited if known not in self._heard]
                raise BrokenPromise(f"no answer in {_WAIT_SECONDS} s to {missing}")

    def _take(self, message: bytes) -> None:
        if SECRET.encode() in message:
            raise BrokenPromise("something outside of the home was told")
        try:
            body = json.loads(message)
        except ValueError as error:
            raise BrokenPromise(f"what the server said is no JSON: {message[:200]!r}") from error
        if "id" in body and "method" not in body:
            known = json.dumps(body["id"])
            self._heard[known] = self._heard.get(known, 0) + 1


def _request_id(message: bytes) -> str | None:
    """The id of what is a request without any doubt; None for everything else."""
    try:
        body = json.loads(message.decode(), object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("method"), str) or len(message) > 1 << 16:
        return None
    known = body.get("id")
    # Params that are no object or list are no JSON-RPC, and text that is no UTF-8 can be answered by nobody.
    if not isinstance(body.get("params"), dict | list | None) or b"\\ud" in message.lower():
        return None
    if isinstance(known, bool) or not (isinstance(known, str) or (isinstance(known, int) and 0 <= known < 2**31)):
        return None
    return json.dumps(known) if body.keys() <= {"id", "method", "params"} else None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _never(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _message(number: int, method: str, **params: Any) -> bytes:
    return json.dumps({"id": number, "method": method, "params": params}, separators=(",", ":")).encode()


@functools.cache
def messages() -> Sequence[bytes]:
    """Conversations: every method of threads with its parameters, and those that the real server refused."""
    one, two = THREADS[1], THREADS[2]
    said = [{"type": "text", "text": "go"}]
    found = [
        [_message(1, "thread/resume", threadId=one), _message(2, "turn/start", threadId=one, input=said)],
        [
            _message(1, "thread/resume", threadId=one, path="OUTSIDE"),
            _message(2, "thread/fork", threadId=one, path="OUTSIDE"),
        ],
        [_message(1, "thread/fork", threadId=one, excludeTurns=True), _message(2, "thread/fork", threadId=two)],
        [_message(1, "thread/turns/list", threadId=one, cursor="x", limit=2, sortDirection="asc", itemsView="full")],
        [
            _message(1, "thread/items/list", threadId=one, limit=2),
            _message(2, "thread/items/read", threadId=one, turnId="t", itemIds=["i"]),
        ],
        [_message(1, "thread/list", limit=2, sortKey="created_at", searchTerm="a", cwd=["/work"], archived=False)],
        [
            _message(1, "thread/search", searchTerm="asked"),
            _message(2, "thread/searchOccurrences", threadId=one, searchTerm="asked"),
        ],
        [_message(1, "thread/read", threadId=two, includeTurns=True), _message(2, "thread/archive", threadId=two)],
        [_message(1, "thread/unarchive", threadId=two), _message(2, "thread/delete", threadId=one)],
        [_message(1, "thread/start", cwd="/work", historyMode="legacy"), _message(2, "thread/loaded/list")],
        [
            _message(1, "thread/name/set", threadId=one, name="n"),
            _message(2, "thread/metadata/update", threadId=one, gitInfo={"branch": "b"}),
        ],
        [
            _message(1, "thread/settings/update", threadId=one, settings={}),
            _message(2, "thread/memoryMode/set", threadId=one, mode="disabled"),
        ],
        [_message(1, "thread/inject_items", threadId=one, items=[{"type": "message", "role": "user", "content": []}])],
        [_message(1, "thread/revert", threadId=one, turnId="t"), _message(2, "thread/compact/start", threadId=one)],
        [
            _message(1, "turn/steer", threadId=one, input=said, expectedTurnId="t"),
            _message(2, "turn/interrupt", threadId=one, turnId="t"),
        ],
        [_message(1, "thread/readState/update", threadId=one, expectedRevision="x", firstUnread=None)],
        [
            _message(1, "config/read", includeLayers=True, cwd="/work"),
            _message(2, "skills/list", cwds=["/work"]),
            _message(3, "model/list"),
        ],
        [b'{"id":77}', b"[]", b'{"id":null,"method":"thread/list"}', b'{"id":1,"result":{}}', b"{", b'{"method":"x"}'],
        [b'{"id":1,"method":"initialize","params":{}}', _message(2, "thread/list")],
    ]
    table = Path(__file__).parent.parent / "appserver" / "params.jsonl"
    for number, line in enumerate(table.read_bytes().splitlines()[::8]):
        case = json.loads(line)
        found.append(
            [_message(number, case["method"], **case["params"])] if isinstance(case.get("params"), dict) else []
        )
    return [b"\n".join(lines) for lines in found if lines]


@functools.cache
def message_words() -> Sequence[bytes]:
    """Names of methods and parameters, and ids of threads."""
    words = {f'"{thread}"'.encode() for thread in _KNOWN}
    for message in messages():
        words.update(
            f'"{word}"'.encode() for word in message.decode("utf-8", "replace").split('"') if 2 < len(word) < 30
        )
    return sorted(words)


# Configuration

_ASKED: Final = (
    _message(1, "config/read", includeLayers=True),
    _message(2, "thread/start", cwd="/work"),
    _message(3, "model/list"),
    _message(4, "skills/list", cwds=["/work"]),
    _message(5, "hooks/list", cwds=["/work"]),
    _message(6, "permissionProfile/list"),
    _message(7, "modelProvider/capabilities/read"),
    _message(8, "experimentalFeature/list"),
    _message(9, "collaborationMode/list"),
    _message(10, "getAuthStatus"),
    _message(11, "account/read"),
    _message(12, "configRequirements/read"),
    _message(13, "thread/resume", threadId=THREADS[1]),
    _message(14, "turn/start", threadId=THREADS[1], input=[{"type": "text", "text": "go"}]),
    _message(15, "thread/list"),
)


def run_config(data: bytes) -> None:
    """A ``config.toml`` of any bytes: the server starts, says what is wrong, and serves its threads."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        ground.put("config.toml", data)
        # What a configuration names is read where it lies: it is the user's own.
        with promises(ground, reading=False, seconds=60, also=("/",)):
            _converse(ground, _ASKED, shake=True)


@functools.cache
def configs() -> Sequence[bytes]:
    """Configurations as they are, and odd ones."""
    whole = b"""\
model = "m"
model_provider = "p"
approval_policy = "never"
sandbox_mode = "workspace-write"
model_reasoning_effort = "high"
model_instructions_file = "x.md"
sqlite_home = "elsewhere"
compact_prompt = "c"
[sandbox_workspace_write]
writable_roots = ["/tmp"]
network_access = true
[model_providers.p]
name = "P"
base_url = "http://127.0.0.1:9/v1"
wire_api = "responses"
env_key = "NOBODY_HAS_THIS"
[features]
apps = false
[projects."/work"]
trust_level = "trusted"
[profiles.a]
model = "b"
"""
    odd = [
        b"",
        b"\xff",
        b"\xef\xbb\xbfmodel = 'm'",
        b"a" * 5000,
        b"model = 5",
        b"[[model]]",
        b"sqlite_home = '\\u0000'",
    ]
    odd += [b"x = " + b"[" * 3000, b"a." * 3000 + b"b = 1", b"sqlite_home = '../../..'", b"d = 1979-05-27", b"f = nan"]
    odd += [b"sqlite_home = '~nobody-of-this-name/x'", b"model = 'm'\nmodel = 'n'", b"n = " + b"9" * 5000]
    return [whole, *odd]


@functools.cache
def config_words() -> Sequence[bytes]:
    """Keys of configurations."""
    keys = "model sqlite_home features profiles projects model_providers approval_policy sandbox_mode profile".split()
    return [key.encode() for key in keys] + [os.fsencode(f'"{value}"') for value in ("p", "never", "legacy")]
