"""One function for everything that parses bytes from outside: it takes bytes, and raises only on a broken promise.

`TARGETS` is what hypothesis drives in CI and atheris in the long form. An input is the bytes themselves where they are
a file's, else lines that say what to build: small, and readable when one of them is kept as a regression.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from tests.faults import fuzz_catalogs, fuzz_wire
from tests.faults.fuzz_ground import ELSEWHERE, BrokenPromise, Ground, answered, everything, opened, promises
from tests.faults.fuzz_seeds import THREADS, fixture_rollouts, made_rollout, rollout_file, tokens_of_records
from tests.support import BytesSource

from threadkeep.appserver._read_states import ReadStates
from threadkeep.backends.local._layout import parse_name
from threadkeep.backends.local._source import TAIL_BYTES
from threadkeep.errors import UnreadableRollout
from threadkeep.ids import is_id
from threadkeep.records import encode_record, item_of, lines_backward, lines_forward, read_head, record_of, records_of
from threadkeep.records._damage import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.store import ThreadStore

__all__ = ["TARGETS", "Target"]

Json = dict[str, Any]

_NAME: Final = "sessions/2026/11/22/rollout-2026-11-22T16-54-20-{}.jsonl"


class Target(NamedTuple):
    """Something that parses.

    Attributes:
        name: What.
        run: Gives it bytes; raises `BrokenPromise`, or what nobody expected.
        seeds: Valid inputs, and some that are known to be hard.
        tokens: Words of its format.
        examples: How many edited inputs it gets in CI.
        hard: Inputs that take seconds each: they are tried once in CI, and nothing starts from them.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    tokens: Callable[[], Sequence[bytes]]
    examples: int
    hard: Callable[[], Sequence[bytes]] = tuple


def _no_words() -> Sequence[bytes]:
    return ()


def _rollouts() -> list[bytes]:
    made = [made_rollout(mode) for mode in ("paginated", "legacy")]
    return [*made, *fixture_rollouts()]


# Records

_SHAPES: Final = [
    shape
    for shape in vars(sys.modules["threadkeep.records._payloads"]).values()
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct) and shape.__module__.startswith("threadkeep.")
]


def run_records(data: bytes) -> None:
    """The records layer on any bytes: lines both ways, envelopes, views, items, damage."""
    source = BytesSource(data, THREADS[0])
    forwards = list(lines_forward(source, 0, len(data)))
    if forwards != list(lines_backward(source, len(data)))[::-1]:
        raise BrokenPromise("lines backwards are not those forwards")
    for offset, line in forwards:
        if line is None or data[offset : offset + len(line)] != line:
            raise BrokenPromise(f"the line at {offset} is not what stands there")
        _one_record(offset, line)
    list(records_of(forwards))
    with contextlib.suppress(UnreadableRollout):
        read_head(source, len(data), thread_id=THREADS[0])
    for damage in inspect(source, thread_id=THREADS[0], being_written=False):
        if not 0 <= damage.offset <= len(data):
            raise BrokenPromise(f"damage at byte {damage.offset} of {len(data)}")


def _one_record(offset: int, line: bytes) -> None:
    record = record_of(offset, line)
    if record.line is not line and record.line != line:
        raise BrokenPromise("a record does not keep its bytes")
    _ = record.timestamp, record.ordinal, record.end, record.metadata, record.intact, repr(record)
    record.payload_start()
    parts = record.parts()
    for shape in _SHAPES:
        record.view(shape)
    item_of(record)
    if parts is not None and record.payload is not None:
        again = encode_record("event_msg", record.payload, timestamp="2026-11-22T10:00:00.000Z")
        if b"\n" in again[:-1]:
            raise BrokenPromise("a record became two lines")


# Rollouts


def run_rollout(data: bytes) -> None:
    """A whole rollout of any bytes, beside a sound thread: everything that a store answers."""
    with Ground.fresh() as ground:
        ground.put(_NAME.format(THREADS[0]), data)
        ground.put_thread(THREADS[1])
        with promises(ground), opened(ground) as store:
            turns = everything(store, THREADS[:2])
        _sound(turns)


def _sound(turns: dict[str, Any], thread: str = THREADS[1]) -> None:
    """The sound thread beside whatever it was is served as ever."""
    served = turns.get(thread)
    if served is None or [turn["status"] for turn in served] != ["completed", "completed"]:
        raise BrokenPromise(f"a sound thread is not served: {served}")


def run_appended(data: bytes) -> None:
    """A turn appended to a rollout of any bytes: refused, or there; the old bytes stay what they were."""
    with Ground.fresh() as ground:
        path = ground.put(_NAME.format(THREADS[0]), data)
        with promises(ground, reading=False), opened(ground) as store:
            written = answered(lambda: _append(store))
        with open(path, "rb") as file:
            after = file.read()
        if not after.startswith(data):
            raise BrokenPromise("old bytes were changed by an append")
        if written is not None:
            with opened(ground) as store:
                page = answered(lambda: store.turns(THREADS[0], limit=1))
                if page is None or [turn["id"] for turn in page.data] != [written]:
                    raise BrokenPromise(f"the turn {written} was acknowledged, and is not shown: {page}")


def _append(store: ThreadStore) -> str:
    with store.writer(THREADS[0]) as writer, writer.turn("more", model="m") as turn:
        turn.say("and more")
        return turn.id


# First records


_HEAD: Final = b'{"timestamp":"2026-11-22T16:54:20.000Z","ordinal":0,"type":"session_meta","payload":'


def run_lineage(data: bytes) -> None:
    """First records from outside: line n is the payload of rollout n, with whatever history base it names."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[3])
        ground.put_thread(THREADS[4], "legacy")
        for thread, line in zip(THREADS[:3], data.split(b"\n"), strict=False):
            head = _HEAD + line + b"}\n"
            _, body = rollout_file(thread, "paginated", text=f"own {thread[-1]}")
            ground.put(_NAME.format(thread), head + body.partition(b"\n")[2])
        with promises(ground, seconds=30), opened(ground) as store:
            turns = everything(store, THREADS[:5])
        _sound(turns, THREADS[3])


def _heads() -> list[bytes]:
    whole = made_rollout("paginated").replace(THREADS[0].encode(), THREADS[3].encode())
    meta = json.loads(whole.partition(b"\n")[0])["payload"]

    def head(place: int, base: str | None, end: int = len(whole), ordinal: int | None = None) -> bytes:
        payload = {**meta, "id": THREADS[place]}
        if base is not None:
            ordinal = whole.count(b"\n") if ordinal is None else ordinal
            payload["history_base"] = {"thread_id": base, "end_ordinal_exclusive": ordinal, "end_byte_offset": end}
        return json.dumps(payload, separators=(",", ":")).encode()

    up = "../../outside/x"
    first = 1  # where the first record ends: a place that a history may end at
    while len(_HEAD) + len(head(0, THREADS[1], first, 1)) + 2 != first:
        first = len(_HEAD) + len(head(0, THREADS[1], first, 1)) + 2
    ring = [head(number, THREADS[(number + 1) % 3], first, 1) for number in range(3)]
    return [
        b"\n".join(ring),
        b"\n".join([head(0, THREADS[3]), head(1, THREADS[0]), head(2, None)]),
        b"\n".join([head(0, THREADS[1]), head(1, THREADS[2]), head(2, THREADS[0])]),  # a ring
        b"\n".join([head(0, THREADS[0])]),
        b"\n".join([head(0, up), head(1, f"../{THREADS[3]}"), head(2, "/" + THREADS[3])]),
        b"\n".join([head(0, THREADS[3], end=1), head(1, THREADS[3], end=2**62), head(2, THREADS[4])]),
        b"\n".join([head(0, THREADS[3].upper()), head(1, THREADS[7]), head(2, THREADS[3], end=0, ordinal=0)]),
        b"\n".join([head(0, THREADS[3], end=2**64), head(1, THREADS[3], end=-1), head(2, THREADS[3], ordinal=2**70)]),
    ]


def _ids() -> Sequence[bytes]:
    return [f'"{thread}"'.encode() for thread in THREADS] + [b'"../../outside/x"', b'"history_base"', b'"threadkeep"']


# Names


def run_names(data: bytes) -> None:
    """Names below sessions/: each line is what stands there (a letter) and its name."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        for line in data.split(b"\n")[:40]:
            _stand(ground, line[:1], line[1:].strip(b"\t"))
        with promises(ground), opened(ground) as store:
            turns = everything(store, THREADS[:2])
        _sound(turns)


def _stand(ground: Ground, kind: bytes, name: bytes) -> None:
    """Put something into the home; what the system does not take is left out."""
    parts = [part for part in name.replace(b"\0", b"").split(b"/") if part not in (b"", b".", b"..")]
    if not parts:
        return
    parse_name(os.fsdecode(parts[-1]))
    path = os.path.join(os.fsencode(ground.home), b"sessions", *parts)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if kind == b"l":
            os.symlink(os.fsencode(ground.secret), path)
        elif kind == b"s":
            os.symlink(os.fsencode(os.path.join(ground.home, "sessions")), path)
        elif kind == b"p":
            os.mkfifo(path)
        elif kind == b"d":
            os.mkdir(path)
        elif kind == b"u":
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
                listener.bind(path)
        else:
            with open(path, "xb") as file:
                file.write(made_rollout("legacy" if kind == b"g" else "paginated"))


def _name_lines() -> list[bytes]:
    file = f"rollout-2026-11-22T16-54-20-{THREADS[0]}.jsonl".encode()
    other = f"rollout-2026-11-22T16-54-20-{THREADS[2]}.jsonl".encode()
    secret = f"rollout-2026-11-22T16-54-20-{THREADS[-1]}.jsonl".encode()
    own = file.replace(b".jsonl", b"_" + THREADS[3].encode() + b".jsonl")
    return [
        b"f2026/11/22/" + file,
        b"l2026/11/22/" + secret,
        b"p2026/11/22/" + other + b"\nf2026/11/22/" + own,
        b"d2026/11/22/" + other + b"\ns2026/11/22/loop\nu2026/11/22/" + own,
        b"f" + file + b"\nf2026/11/22/" + file + b"\nf2026/11/23/" + file + b".zst",
        b"f2026/11/22/" + file.upper() + b"\nfa/b/c/d/e/f/g/h/i/j/k/" + file + b"\nf\xff\xfe/" + file,
        b"f2026/11/22/rollout-9999-99-99T99-99-99-" + THREADS[0].encode() + b".jsonl",
        b"f2026/11/22/rollout-2026-11-22T16-54-20-" + b"f" * 8 + b"-ffff-ffff-ffff-" + b"f" * 12 + b".jsonl",
    ]


# Compressed rollouts

_ZSTD_MEMORY: Final = 3 * TAIL_BYTES + 24 * 1024 * 1024
"""What reading a compressed rollout may hold: its tail, twice while it grows, pieces, and what its records need."""


def run_zstd(data: bytes) -> None:
    """A compressed rollout of any bytes; one that starts with ``[`` says what to compress.

    ``[[text, times], ...]`` are its frames, each so many times a text.
    """
    packed = _packed(data)
    with Ground.fresh() as ground:
        ground.put(_NAME.format(THREADS[0]) + ".zst", packed)
        ground.put_thread(THREADS[1])
        # The bounds are of one answer. A line takes a microsecond while all is traced: what takes so long may not hang.
        for ask in ("read", "resume", "turns", "items"):
            with promises(ground, memory=_ZSTD_MEMORY, seconds=300), opened(ground) as store:
                answered(functools.partial(getattr(store, ask), THREADS[0]))
        with promises(ground), opened(ground) as store:
            turns = everything(store, (THREADS[1],)) if len(packed) < 4_000 and data[:1] != b"[" else None
        if turns is not None:
            _sound(turns)


def _packed(data: bytes) -> bytes:
    if data[:1] != b"[":
        return data
    try:
        frames = msgspec.json.decode(data, type=list[tuple[str, int]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return data
    return b"".join(_frame(text.encode("utf-8", "replace"), times) for text, times in frames[:4])


def _frame(text: bytes, times: int) -> bytes:
    """A text so many times, in one frame, made piece by piece: a quarter of a gigabyte, unless asked for more."""
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdCompressor
    else:
        from backports.zstd import ZstdCompressor
    most = int(os.environ.get("THREADKEEP_FUZZ_BOMB", "268435456"))
    compressor = ZstdCompressor(level=1)
    left = min(max(0, times) * len(text), most) if text else 0
    piece = text * (1 + (1 << 20) // max(1, len(text)))
    parts = []
    while left > 0:
        parts.append(compressor.compress(piece[:left]))
        left -= len(piece)
    parts.append(compressor.flush())
    return b"".join(parts)


def _compressed() -> list[bytes]:
    if sys.version_info >= (3, 14):
        from compression.zstd import compress
    else:
        from backports.zstd import compress
    whole = made_rollout("paginated")
    packed: bytes = compress(whole)
    half = whole.index(b"\n", len(whole) // 2) + 1
    return [
        packed,
        compress(whole[:half]) + compress(whole[half:]),
        packed[:-3],
        packed + b"garbage",
        b"(\xb5/\xfd",
        b"",
        whole,
        compress(b""),
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + packed,  # a frame that is to be skipped
        json.dumps([[whole.decode(), 1], ["\0", 1 << 28]]).encode(),
        *_many_lines(1 << 10, 1 << 9),
    ]


def _many_lines(empty: int, unknown: int) -> list[bytes]:
    """A thread with so many empty lines, and one with so many records of an unknown type."""
    whole = made_rollout("paginated").decode()
    line = (
        '{"timestamp":"2026-11-22T16:54:20.000Z","ordinal":9,"type":"tomorrow","payload":{"x":"' + "y" * 900 + '"}}\n'
    )
    return [json.dumps([[whole, 1], [more, times]]).encode() for more, times in (("\n", empty), (line, unknown))]


def _most_lines() -> list[bytes]:
    return _many_lines(1 << 17, 1 << 16)


# threadkeep's own files, and Codex's that are lines


def run_marks(data: bytes) -> None:
    """``marks.jsonl`` of any bytes: whatever it says, what is read is a thread's own."""
    with Ground.fresh() as ground:
        _family(ground)
        ground.put("threadkeep/marks.jsonl", data)
        with promises(ground), opened(ground) as store:
            everything(store, THREADS[:3])
            answered(lambda: list(store.to_materialize()))
        with open(os.path.join(ground.home, "threadkeep", "marks.jsonl"), "rb") as file:
            if not file.read().startswith(data):
                raise BrokenPromise("old marks were changed")


def _family(ground: Ground) -> None:
    """A thread and a fork of it, both as Codex writes them."""
    whole = ground.put_thread(THREADS[1])
    heads = _heads()[0].split(b"\n")
    payload = json.loads(heads[0])
    payload["history_base"] |= {"thread_id": THREADS[1], "end_byte_offset": len(whole)}
    line = {"timestamp": "2026-11-22T16:54:20.000Z", "ordinal": 9, "type": "session_meta", "payload": payload}
    ground.put(_NAME.format(THREADS[0]), json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _mark_lines() -> list[bytes]:
    def line(**members: Any) -> bytes:
        return json.dumps({"at": "2026-11-22T16:54:20.000Z", **members}, separators=(",", ":")).encode() + b"\n"

    anchor = {"after_turn": "t", "end": 10, "digest": "00"}
    return [
        line(thread=THREADS[0], marks={"name": "a", "archived": True, "hidden": True, "current": THREADS[1]}),
        line(thread=THREADS[1], marks={"current": "../../outside/x", "git": {"branch": None, "commit_hash": "x"}}),
        line(child=THREADS[0], anchor=anchor) + line(child=THREADS[0], seal={"end": 3, "digest": "0", "size": 1}),
        line(child=THREADS[0], seal=None) + line(thread=THREADS[2], marks={"name": "gone"}) + b"{torn",
        line(thread="../../outside/x", marks={"hidden": True, "name": "\u0000"}),
    ]


def _mark_words() -> Sequence[bytes]:
    return [
        *_ids(),
        *(f'"{word}"'.encode() for word in "thread marks child anchor seal current hidden name git".split()),
    ]


def run_pins(data: bytes) -> None:
    """Names below ``threadkeep/pins``, one a line, of a child whose base is gone."""
    with Ground.fresh() as ground:
        _family(ground)
        os.unlink(os.path.join(ground.home, _NAME.format(THREADS[1])))
        ground.put_thread(THREADS[2])
        for number, line in enumerate(data.split(b"\n")[:20]):
            _pin(ground, line, number)
        with promises(ground), opened(ground) as store:
            turns = everything(store, THREADS[:3])
        _sound(turns, THREADS[2])


def _pin(ground: Ground, name: bytes, number: int) -> None:
    parts = [part for part in name[1:].replace(b"\0", b"").split(b"/") if part not in (b"", b".", b"..")]
    path = os.path.join(os.fsencode(ground.home), b"threadkeep/pins", *parts)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if name[:1] == b"l" and len(parts) > 1:
            os.symlink(os.fsencode(ground.secret), path)
        elif name[:1] == b"p":
            os.mkfifo(path)
        else:
            with open(path, "xb") as file:
                file.write(made_rollout("paginated", turns=1 + number % 2))


def _pin_lines() -> list[bytes]:
    base, child = THREADS[1].encode(), THREADS[0].encode()
    whole = len(made_rollout("paginated"))
    return [
        b"f%b/%b.%d.0123456789abcdef.jsonl" % (base, child, whole),
        b"l%b/%b.%d.00.jsonl\np%b/%b.1.00.jsonl" % (base, child, whole, base, child),
        b"f%b/%b.%b.00.jsonl\nf%b/x\nfx/y.1.2.jsonl" % (base, child, b"9" * 4400, base),
        b"f%b/%b.%d.00.jsonl.zst\nf%b/%b.-1.00.jsonl" % (base, child, whole, base, child),
        f"f{THREADS[1]}/{THREADS[0]}.\u0663.00.jsonl".encode(),
    ]


def run_name_index(data: bytes) -> None:
    """``session_index.jsonl`` of any bytes."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        ground.put("session_index.jsonl", data)
        with promises(ground), opened(ground) as store:
            turns = everything(store)
        _sound(turns)


def _index_lines() -> list[bytes]:
    def line(name: Any, thread: str = THREADS[1]) -> bytes:
        return json.dumps({"id": thread, "thread_name": name, "updated_at": "2026-11-22T16:54:20Z"}).encode() + b"\n"

    return [line("one") + line("two"), line("") + line(None) + line("x" * 3000), line("a\ud800b"), line(5) + b"{"]


def run_read_states(data: bytes) -> None:
    """``read-states.jsonl`` of any bytes: a thread's state is always one that can be told."""
    with Ground.fresh() as ground:
        if data == b"pipe":
            _put_thing(ground, "pipe", "threadkeep/read-states.jsonl")
        else:
            ground.put("threadkeep/read-states.jsonl", data)
        with promises(ground):
            states = ReadStates(os.path.join(ground.home, "threadkeep"))
            for thread in THREADS[:2]:
                state = answered(functools.partial(states.get, thread))
                if state is None or not isinstance(state.get("revision"), str) or "firstUnread" not in state:
                    raise BrokenPromise(f"no read state: {state}")
                json.dumps(state)


def _state_lines() -> list[bytes]:
    def line(state: Any) -> bytes:
        return json.dumps({"thread": THREADS[0], "state": state}).encode() + b"\n"

    unread = {"type": "turn", "turnId": THREADS[1]}
    return [
        line({"firstUnread": unread, "revision": "1"}),
        line({}) + line(None),
        line({"firstUnread": 5}),
        b"{\n[]\n",
        b"pipe",
    ]


# Things of the wrong kind

_PLACES: Final = (
    "sessions sessions/2026 archived_sessions threadkeep threadkeep/catalog.sqlite threadkeep/catalog.sqlite-wal "
    "threadkeep/marks.jsonl threadkeep/pins threadkeep/read-states.jsonl threadkeep/rollouts session_index.jsonl "
    "state_5.sqlite state_5.sqlite-wal config.toml thread-writer-locks auth.json history.jsonl"
).split()

_THINGS: Final = ("pipe", "folder", "loop", "outward", "dangling", "empty", "zeros", "socket")


def run_places(data: bytes) -> None:
    """Things of the wrong kind in the place of a home's files: each line is a thing and a place."""
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        hidden = False
        for line in data.decode("utf-8", "replace").split("\n")[:12]:
            thing, _, place = line.partition(" ")
            if thing in _THINGS and place in _PLACES:
                hidden = hidden or place.startswith("sessions")
                _put_thing(ground, thing, place)
        # Whose links a home's folders are is the user's right; what they lead to is read there.
        with promises(ground, also=(f"{ground.outside}/", ground.outside)), opened(ground) as store:
            turns = everything(store)
        if not hidden and turns:
            _sound(turns)


def _put_thing(ground: Ground, thing: str, place: str) -> None:
    path = os.path.join(ground.home, place)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            os.rename(path, f"{path}.aside")
        if thing == "pipe":
            os.mkfifo(path)
        elif thing == "folder":
            os.mkdir(path)
        elif thing == "loop":
            os.symlink(path, path)
        elif thing == "outward":
            os.symlink(os.path.join(ground.outside, "nothing"), path)
            os.makedirs(os.path.join(ground.outside, "nothing"), exist_ok=True)
        elif thing == "dangling":
            os.symlink(os.path.join(ground.home, ELSEWHERE), path)
        elif thing == "socket":
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
                listener.bind(path)
        else:
            with open(path, "xb") as file:
                file.write(b"" if thing == "empty" else bytes(5_000))


def _things() -> list[bytes]:
    whole = [place for place in _PLACES if not place.startswith("sessions")]
    found = [f"{thing} {place}" for thing in ("pipe", "loop", "folder") for place in ("sessions", "sessions/2026")]
    for thing in _THINGS:
        # Not a thing in the place of a folder together with one in it.
        found.append("\n".join(f"{thing} {place}" for place in whole if place.startswith("threadkeep/")))
        found.append("\n".join(f"{thing} {place}" for place in whole if not place.startswith("threadkeep")))
        found.append(f"{thing} threadkeep")
    return [text.encode() for text in found]


def run_ids(data: bytes) -> None:
    """What a caller gives as an id, a prefix or a path: found, or refused."""
    text = data.decode("utf-8", "surrogateescape")
    is_id(text)
    with Ground.fresh() as ground:
        ground.put_thread(THREADS[1])
        with promises(ground), opened(ground) as store:
            for ask in (store.thread_id, store.read, store.turns, store.verify, store.thread_at, store.search):
                answered(functools.partial(ask, text))
            answered(lambda: store.turn(THREADS[1], text))
            answered(lambda: store.items(THREADS[1], turn=text))


def _texts() -> list[bytes]:
    return [THREADS[1].encode(), b"01a2", b"../../outside/x", b"%", b"_", b"\xff", b"\0", b"/" * 5000, b"\xed\xa0\x80"]


TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        Target("records", run_records, _rollouts, tokens_of_records, 150),
        Target("rollout", run_rollout, _rollouts, tokens_of_records, 80),
        Target("appended", run_appended, _rollouts, tokens_of_records, 60),
        Target("lineage", run_lineage, _heads, _ids, 30),
        Target("names", run_names, _name_lines, _no_words, 30),
        Target("zstd", run_zstd, _compressed, _no_words, 5, _most_lines),
        Target("marks", run_marks, _mark_lines, _mark_words, 40),
        Target("pins", run_pins, _pin_lines, _no_words, 20),
        Target("name-index", run_name_index, _index_lines, _ids, 30),
        Target("read-states", run_read_states, _state_lines, _ids, 60),
        Target("places", run_places, _things, _no_words, 10),
        Target("ids", run_ids, _texts, _no_words, 40),
        Target("catalog", fuzz_catalogs.run_catalog, fuzz_catalogs.catalogs, _ids, 25),
        Target("codex-state", fuzz_catalogs.run_codex_state, fuzz_catalogs.codex_states, _ids, 25),
        Target("cursors", fuzz_wire.run_cursors, fuzz_wire.cursors, _ids, 40),
        Target("messages", fuzz_wire.run_messages, fuzz_wire.messages, fuzz_wire.message_words, 50),
        Target("config", fuzz_wire.run_config, fuzz_wire.configs, fuzz_wire.config_words, 25),
    )
}
