"""Stores on the ground that they stand on: a home, a home that looks like Codex's, memory; and rollouts by hand."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import pytest
from tests.oracle import context as oracle
from tests.support import dump

from threadkeep.backends import MemoryBackend
from threadkeep.backends.local import Files, LocalBackend
from threadkeep.backends.local._layout import parse_name
from threadkeep.ids import SystemClock, Uuid7Source, timestamp_ms, utc
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.records import _build as build
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from threadkeep.backends import Durability
    from threadkeep.ids import Clock

Json = dict[str, Any]
Kind = Literal["own home", "Codex's home", "memory"]

KINDS: Final[tuple[Kind, ...]] = ("own home", "Codex's home", "memory")
HOMES: Final[tuple[Kind, ...]] = KINDS[:2]
MODES: Final = (LEGACY, PAGINATED)
IDS: Final = Uuid7Source(SystemClock())
NOWHERE: Final = "/home/me/project"

DERIVED: Final = ("threadkeep/catalog.sqlite", "threadkeep/inheritance.lock", "thread-writer-locks/")
"""What a refused operation may touch: nothing that anybody wrote."""


def compressed(data: bytes) -> bytes:
    """What Codex's worker writes: one zstd frame without a checksum."""
    if sys.version_info >= (3, 14):
        from compression.zstd import compress
    else:
        from backports.zstd import compress
    packed: bytes = compress(data)
    return packed


def unpacked(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression.zstd import decompress
    else:
        from backports.zstd import decompress
    plain: bytes = decompress(data)
    return plain


class Ground:
    """A store, and what lies beneath it for a test to look at and to change behind its back."""

    def __init__(
        self,
        kind: Kind,
        root: Path,
        *,
        files: Files | None = None,
        clock: Clock | None = None,
        durability: Durability = "os",
    ) -> None:
        self.kind = kind
        self.root = root
        self._durability: Durability = durability
        self._clock = clock
        self._files = files
        self.memory = MemoryBackend(clock=clock) if kind == "memory" else None
        if kind == "Codex's home":
            root.mkdir(parents=True)
            (root / "config.toml").write_text('model = "m"\n')
            self._state()
        self.store = self._opened()

    def _opened(self) -> ThreadStore:
        backend = self.memory or LocalBackend(str(self.root), clock=self._clock, files=self._files)
        return ThreadStore(backend, durability=self._durability)

    def _state(self) -> None:
        with sqlite3.connect(self.root / "state_5.sqlite") as db:
            db.execute(
                "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER DEFAULT 0, name TEXT, "
                "title TEXT, first_user_message TEXT, history_mode TEXT DEFAULT 'paginated', preview TEXT DEFAULT '')"
            )
        db.close()

    def reopened(self, *, cold: bool = False) -> ThreadStore:
        """A new store on the same ground; ``cold``: nothing derived is left."""
        if self.memory is not None:
            if cold:
                self.memory.catalog.clear()
            self.store = ThreadStore(self.memory, durability=self._durability)
            return self.store
        self.store.close()
        if cold:
            for path in (self.root / "threadkeep").glob("catalog.sqlite*"):
                path.unlink()
        self.store = self._opened()
        return self.store

    def close(self) -> None:
        self.store.close()

    # Looking

    def paths(self, rollout: str) -> list[Path]:
        """The files of a rollout, wherever they lie (pins apart)."""
        found = []
        for place in ("sessions", "archived_sessions", "threadkeep/rollouts"):
            for path in sorted((self.root / place).rglob("rollout-*")):
                name = parse_name(path.name)
                if name is not None and name.rollout_id == rollout:
                    found.append(path)
        return found

    def path(self, rollout: str) -> Path:
        (path,) = self.paths(rollout)
        return path

    def data(self, rollout: str) -> bytes:
        """The decoded bytes of a rollout."""
        if self.memory is not None:
            return bytes(self.memory._rollouts[rollout].data)
        path = self.path(rollout)
        return unpacked(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()

    def lines(self, rollout: str) -> list[Json]:
        """The records of a rollout."""
        return [json.loads(line) for line in self.data(rollout).splitlines()]

    def bytes_of_all(self) -> dict[str, bytes]:
        """Everything that anybody wrote, by place. What is derived is left out."""
        if self.memory is not None:
            memory = self.memory
            found = {rollout: bytes(held.data) for rollout, held in memory._rollouts.items()}
            found |= {f"archived {rollout}": b"" for rollout, held in memory._rollouts.items() if held.ref.archived}
            found |= {f"mark {thread}": msgspec.json.encode(marks) for thread, marks in memory._marks.items()}
            found |= {f"name {thread}": name.encode() for thread, name in memory._names.items()}
            found |= {f"pin {child}": b"" for child in memory._pins}
            return found
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not str(path.relative_to(self.root)).startswith(DERIVED)
        }

    # Changing behind the store's back

    def put(
        self,
        rollout: Rollout | bytes,
        *,
        thread: str = "",
        rollout_id: str = "",
        archived: bool = False,
        stamp: str | None = None,
        folder: str | None = None,
        packed: bool = False,
    ) -> str:
        """Plant a rollout by hand; its thread's id is returned."""
        data = rollout if isinstance(rollout, bytes) else rollout.data
        if isinstance(rollout, Rollout):
            thread, rollout_id = thread or rollout.thread, rollout_id or rollout.id
        rollout_id = rollout_id or thread
        if self.memory is not None:
            self.memory.put(thread, rollout_id, data, archived=archived)
            return thread
        t = time.localtime((timestamp_ms(rollout_id) or 1_760_000_000_000) // 1000)
        stamp = stamp or time.strftime("%Y-%m-%dT%H-%M-%S", t)
        folder = folder or ("archived_sessions" if archived else f"sessions/{stamp[:10].replace('-', '/')}")
        own = "" if rollout_id == thread else f"_{rollout_id}"
        target = self.root / folder / f"rollout-{stamp}-{thread}{own}.jsonl{'.zst' if packed else ''}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compressed(data) if packed else data)
        return thread

    def edit(self, rollout: str, data: bytes) -> None:
        """Write other bytes into a rollout where it lies: the same file."""
        if self.memory is not None:
            held = self.memory._rollouts[rollout]
            held.data[:] = data
            held.mtime_ns = max(held.mtime_ns + 1, time.time_ns())
            return
        path = self.path(rollout)
        with path.open("r+b") as file:
            file.write(data)
            file.truncate()

    def grow(self, rollout: str, data: bytes) -> None:
        """Append to a rollout as another program does."""
        self.edit(rollout, self.data(rollout) + data)

    def replace(self, rollout: str, data: bytes) -> None:
        """Put another file in the place of a rollout, as a migration does."""
        if self.memory is not None:
            held = self.memory._rollouts[rollout]
            self.memory.put(held.ref.thread_id, rollout, data, archived=held.ref.archived)
            return
        path = self.path(rollout)
        aside = path.with_name("aside")
        aside.write_bytes(data)
        aside.rename(path)

    def vanish(self, rollout: str) -> None:
        """Another program deletes a rollout."""
        if self.memory is not None:
            del self.memory._rollouts[rollout]
            return
        self.path(rollout).unlink()

    def move(self, rollout: str, folder: str) -> None:
        """Another program moves a rollout's file."""
        path = self.path(rollout)
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        path.rename(self.root / folder / path.name)

    def pack(self, rollout: str) -> None:
        """Codex's worker compresses a rollout: written beside, then the plain file goes."""
        path = self.path(rollout)
        facts = path.stat()
        packed = path.with_name(f"{path.name}.zst")
        packed.write_bytes(compressed(path.read_bytes()))
        os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        path.unlink()

    def index(self, thread: str, path: Path | str, **columns: Any) -> None:
        """Codex indexes a thread."""
        names = ["id", "rollout_path", *columns]
        with sqlite3.connect(self.root / "state_5.sqlite") as db:
            db.execute(
                f"INSERT OR REPLACE INTO threads ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                (thread, str(path), *columns.values()),
            )
        db.close()

    # Threads made by the store

    def thread(self, *texts: str, mode: str = PAGINATED, **settings: Any) -> str:
        """A thread with a turn for each text, each answered with the text in capitals."""
        settings.setdefault("cwd", NOWHERE)
        with self.store.create(mode=mode, **settings) as writer:
            if not texts:
                writer.append("world_state", {"full": True, "state": {}})
            for text in texts:
                self.turn(writer, text)
            return writer.thread_id

    @staticmethod
    def turn(writer: Any, text: str, tokens: int = 0) -> str:
        with writer.turn(text, model="gpt-5", cwd=NOWHERE) as turn:
            turn.say(text.upper())
            if tokens:
                usage = dict.fromkeys(USAGE, tokens)
                turn.count(total=usage, last=usage)
        turn_id: str = turn.id
        return turn_id

    def add(self, thread: str, *texts: str, tokens: int = 0) -> list[str]:
        """Further turns of a thread; their ids."""
        with self.store.writer(thread) as writer:
            return [self.turn(writer, text, tokens) for text in texts]


USAGE: Final = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")


class Rollout:
    """A rollout by hand, as Codex writes one: nothing in it is threadkeep's."""

    def __init__(
        self,
        thread: str | None = None,
        *,
        rollout: str | None = None,
        mode: str = PAGINATED,
        base: Rollout | None = None,
        base_end: int | None = None,
        start_ms: int | None = None,
        **meta: Any,
    ) -> None:
        self.thread = thread or IDS.new()
        self.id = rollout or self.thread
        self.mode = mode
        self.base = base
        self._ms = start_ms or timestamp_ms(self.id) or 1_760_000_000_000
        self.pieces: list[bytes] = []
        self.ordinal = 0
        payload = build.session_meta(
            thread_id=self.thread,
            timestamp=self.stamp(),
            cwd=NOWHERE,
            originator="by hand",
            cli_version="0.169.0",
            source="cli",
            model_provider="openai",
            base_instructions={"text": "be brief"},
            history_mode=mode,
        )
        if base is not None:
            end = len(base.data) if base_end is None else base_end
            self.ordinal = base.ordinal_at(end)
            payload["history_base"] = {
                "thread_id": base.id,
                "end_ordinal_exclusive": self.ordinal,
                "end_byte_offset": end,
            }
        self.first = {**payload, **meta}
        self.record("session_meta", {key: value for key, value in self.first.items() if value is not ...})

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def end(self) -> int:
        return sum(map(len, self.pieces))

    def ordinal_at(self, end: int) -> int:
        """The ordinal that follows the records before an offset."""
        lines = [json.loads(line) for line in self.data[:end].splitlines()]
        return int(lines[-1]["ordinal"]) + 1 if "ordinal" in lines[-1] else len(lines)

    def stamp(self) -> str:
        self._ms += 7
        return utc(self._ms)

    def record(self, kind: str, payload: Any, metadata: Any = None, **envelope: Any) -> int:
        """Add a record; the offset of its first byte."""
        line: Json = {"timestamp": self.stamp()}
        if self.mode == PAGINATED:
            line["ordinal"] = self.ordinal
        line |= {"type": kind, "payload": payload}
        if metadata is not None:
            line["metadata"] = metadata
        return self.raw(dump({**line, **envelope}) + b"\n")

    def raw(self, line: bytes) -> int:
        """Add bytes as they are, as a line with an ordinal of its own."""
        offset = self.end
        self.pieces.append(line)
        self.ordinal += 1
        return offset

    def event(self, **payload: Any) -> int:
        return self.record("event_msg", payload)

    def start(self, turn: str | None = None, *, context: bool = True, **settings: Any) -> str:
        """A turn begins."""
        turn = turn or IDS.new()
        self.record("event_msg", build.task_started(turn, started_at=self._ms // 1000, model_context_window=258_400))
        if context:
            self.context(turn, **settings)
        return turn

    def context(self, turn: str | None, **settings: Any) -> int:
        stated: Json = {"cwd": NOWHERE, "model": "gpt-5", "approval_policy": "never"}
        stated |= {"permission_profile": {"type": "disabled"}, **settings}
        return self.record("turn_context", build.turn_context(turn, **stated))

    def user(self, text: str, turn: str) -> int:
        offset = self.record("response_item", build.user_message(text, item_id=f"msg_{IDS.new()}", turn_id=turn))
        self.shown(build.user_item(text, item_id=IDS.new()), build.user_message_event(text), turn)
        return offset

    def answer(self, text: str, turn: str) -> None:
        item_id = f"msg_{IDS.new()}"
        self.shown(build.agent_item(text, item_id=item_id), build.agent_message_event(text), turn)
        self.record("response_item", build.assistant_message(text, item_id=item_id, turn_id=turn))

    def shown(self, item: Json, event: Json, turn: str) -> None:
        if self.mode == PAGINATED:
            self.item(item, turn)
        else:
            self.record("event_msg", event)

    def item(self, item: Json, turn: str) -> int:
        return self.record(
            "event_msg",
            build.item_completed(
                item, thread_id=self.thread, turn_id=turn, started_at_ms=self._ms, completed_at_ms=self._ms
            ),
        )

    def finish(self, turn: str, answer: str | None = None) -> int:
        seconds = self._ms // 1000
        return self.record(
            "event_msg",
            build.task_complete(
                turn, last_agent_message=answer, started_at=seconds, completed_at=seconds, duration_ms=0
            ),
        )

    def turn(self, text: str, *, tokens: int = 0, turn: str | None = None, **settings: Any) -> str:
        """A whole turn, answered with its text in capitals."""
        turn = self.start(turn, **settings)
        self.user(text, turn)
        self.answer(text.upper(), turn)
        if tokens:
            usage = dict.fromkeys(USAGE, tokens)
            self.record("event_msg", build.token_count(usage, usage, model_context_window=258_400))
        self.finish(turn, text.upper())
        return turn

    def compact(
        self,
        summary: str = "what was done",
        *,
        window: int | None = 1,
        keep: Sequence[Json] = (),
        resume: bool = True,
        replacement: bool = True,
        inside: str | None = None,
        context: bool = True,
    ) -> str:
        """A compaction in a turn of its own or inside one; what is left out is what an older Codex did not write."""
        turn = inside or self.start(context=False)
        item = build.user_message(summary, item_id=f"msg_{IDS.new()}", turn_id=turn)
        item["internal_chat_message_metadata_passthrough"]["content_item_kinds"] = ["compaction.summary"]
        settings = {"model": "gpt-5", "comp_hash": None, "realtime_active": False}
        payload = build.compacted(
            summary,
            [*keep, item],
            window_number=window,
            resume_metadata={"last_started_turn_id": turn, "previous_turn_settings": settings} if resume else None,
        )
        if not replacement:
            payload = {"message": summary}
        self.record("compacted", payload)
        self.record("world_state", {"full": True, "state": {"note": summary}})
        if context:
            self.context(turn)
        if self.mode == PAGINATED:
            self.item({"type": "ContextCompaction", "id": IDS.new()}, turn)
        else:
            self.event(type="context_compacted")
        if inside is None:
            self.finish(turn)
        return turn

    def roll_back(self, turns: int) -> int:
        return self.event(type="thread_rolled_back", num_turns=turns)


@contextlib.contextmanager
def refused(ground: Ground, error: type[Exception], *named: str) -> Iterator[None]:
    """What is done inside is refused with an error that names what it must, and changes nothing."""
    before = ground.bytes_of_all()
    with pytest.raises(error) as refusal:
        yield
    for name in named:
        assert name in str(refusal.value)
    # What a reader pins when it sees a child for the first time is a second name of what is there.
    after = {place: data for place, data in ground.bytes_of_all().items() if place in before or "pin" not in place}
    assert after == before


def user_texts(count: int) -> list[str]:
    return [f"question {number}" for number in range(1, count + 1)]


# What a thread answers


def items_of(store: ThreadStore, thread: str, **order: Any) -> list[Json]:
    """All items of a thread, by small pages."""
    return list(pages(store.items, thread, limit=7, **order))


def turns_of(store: ThreadStore, thread: str, **order: Any) -> list[Json]:
    """All turns of a thread with their items, by small pages; newest first."""
    return list(pages(store.turns, thread, limit=3, view="full", **order))


def pages(listing: Any, thread: str, **order: Any) -> Iterator[Json]:
    cursor = None
    while True:
        page = listing(thread, cursor=cursor, **order)
        yield from plain(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def plain(value: Any) -> Any:
    """Answers as JSON values."""
    return json.loads(msgspec.json.encode(value))


def said(store: ThreadStore, thread: str, *, full: bool = False) -> list[str]:
    """The texts of the model context."""
    resumed = store.replay(thread) if full else store.resume(thread)
    return [
        "".join(part.get("text", "") for part in payload.get("content") or ())
        for payload in history(resumed.context)
        if payload["type"] == "message"
    ]


def history(context: Any) -> list[Json]:
    return [json.loads(bytes(item.payload)) for item in context.items]


def asked(store: ThreadStore, thread: str) -> list[str]:
    """The first user message of each turn, oldest turn first; empty for a turn without one."""
    return [first_user(turn) for turn in reversed(turns_of(store, thread))]


def first_user(turn: Json) -> str:
    for item in turn["items"]:
        if item["type"] == "userMessage":
            return "".join(part.get("text", "") for part in item["content"])
    return ""


def everything(store: ThreadStore, thread: str) -> Json:
    """All that a thread says of its history: what must not change when somebody else's does."""
    resumed = store.resume(thread)
    read = store.read(thread, counts=True)
    return {
        "context": plain(resumed.context.items and [bytes(item.payload).decode() for item in resumed.context.items]),
        "settings": resumed.settings,
        "usage": plain(resumed.usage),
        "turns": turns_of(store, thread),
        "items": items_of(store, thread),
        "preview": read.preview,
        "model": read.model,
        "counts": plain(read.counts),
        "problem": read.problem,
    }


def check_fast_is_full(store: ThreadStore, thread: str) -> None:
    """Whatever is answered fast is what the whole history says, in every order and by every way to ask."""
    fast, full = store.resume(thread), store.replay(thread)
    assert msgspec.json.encode(fast.context) == msgspec.json.encode(full.context)
    newest = turns_of(store, thread)
    assert turns_of(store, thread, descending=False) == newest[::-1]
    oldest = items_of(store, thread)
    assert items_of(store, thread, descending=True) == oldest[::-1]
    ids = [turn["id"] for turn in newest]
    for turn in newest:
        if ids.count(turn["id"]) > 1:
            continue  # a legacy file that starts a turn twice shows two of that id
        assert plain(store.turn(thread, turn["id"])) == turn
        of_turn = [entry for entry in oldest if entry["turnId"] == turn["id"]]
        assert items_of(store, thread, turn=turn["id"]) == of_turn


def oracle_context(*rollouts: bytes) -> oracle.Context:
    """The model context of a lineage by the plain definition; each rollout cut where its child begins."""
    segments = [
        [record for record in map(oracle.decode_line, data.splitlines()[1:]) if record is not None] for data in rollouts
    ]
    first = json.loads(rollouts[-1].splitlines()[0])["payload"]
    mode = first.get("history_mode", LEGACY)
    return oracle.reconstruct(oracle.lineage(segments) if mode == PAGINATED else segments[-1], mode, first)


def check_as_the_definition(store: ThreadStore, thread: str, *rollouts: bytes) -> None:
    """The context, computed either way, is the one of the plain definition."""
    expected = oracle_context(*rollouts)
    for resumed in (store.resume(thread), store.replay(thread)):
        context = resumed.context
        assert history(context) == expected.history
        assert context.previous_turn_settings == expected.previous_turn_settings
        reference = context.reference_context
        assert (None if reference is None else json.loads(bytes(reference))) == expected.reference_context
        assert context.world_state == expected.world_state
        assert context.window.number == expected.window.number
        assert context.last_started_turn == expected.last_started_turn_id
