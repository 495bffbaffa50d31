"""A client of a home that does whatever its seed says, as fast as it can, and writes down what it was told.

It begins threads, appends turns, forks, reverts, names, archives, deletes, erases, materializes, reads. It expects to
meet others: a refusal is written down, too. What it reads it writes down, so that the model can say whether that was
ever so. It ends when it is killed, or after as many operations as it was given.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.faults.kill_entries import END, KEPT

from threadkeep.errors import (
    BrokenLineage,
    CodexOwned,
    Conflict,
    InvalidRequest,
    LeaseLost,
    RolloutReplaced,
    StorageFailure,
    ThreadkeepError,
)
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadFilter

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.faults.kill_ledger import Ledger, Line

    from threadkeep.store import ThreadStore, TurnWriter, Writer

__all__ = ["SECRET", "Worker", "context_texts", "texts_of"]

FEW: Final = 5
MANY: Final = 20
"""Below that many threads more are begun, above it some are deleted."""

SECRET: Final = re.compile("<secret-[^<>]*>")
"""What is erased: some texts end with one. No two are the same, and where texts are compared they are left aside."""

_SECRETIVE: Final = 0.2
_AFTER_TEXT: Final = re.compile(rf" (?:{SECRET.pattern}|\*+)$")

_PAGE: Final = 7
_MAX_TURNS: Final = 40

_WEIGHTS: Final = {
    "turn": 40,
    "begin": 6,
    "fork": 12,
    "revert": 5,
    "rename": 5,
    "archive": 3,
    "unarchive": 3,
    "delete": 3,
    "erase": 4,
    "materialize": 1,
    "read": 14,
    "verify": 3,
    "doctor": 1,
}

_BEHIND_CODEX: Final = frozenset({"revert", "archive", "unarchive", "delete", "erase", "materialize", "doctor"})
"""What is not done in a home that Codex works in: it must be asked for these, and it is being killed, or it may hold
what was erased in files of its own."""

_REASONS: Final = {" is archived": "Archived", "inherits from no other": "Whole"}
"""Refusals that have no type of their own: what their messages say."""


class Worker:
    """One client.

    Args:
        name: Its name, which all that it says begins with; no two of a run have the same.
        store: Its store.
        ledger: Where it writes what it does.
        chance: What it does next.
        faulty: Whether errors of the system are to be expected.
        beside_codex: Whether Codex works in the home.
    """

    def __init__(
        self,
        name: str,
        store: ThreadStore,
        ledger: Ledger,
        chance: random.Random,
        *,
        faulty: bool = False,
        beside_codex: bool = False,
    ) -> None:
        self.name = name
        self.store = store
        self._ledger = ledger
        self._chance = chance
        self._faulty = faulty
        self._codex = beside_codex
        self._count = 0
        self._said = 0
        self._threads: list[str] = []
        self._archived: list[str] = []
        self._stale = 0

    def work(self, operations: int = 1 << 60) -> None:
        """Do so many operations."""
        for _ in range(operations):
            self.step()

    def step(self) -> None:
        """Do one operation."""
        if self._stale <= 0 and not self._look():
            return
        self._stale -= 1
        kind = self._chosen()
        if kind == "begin":
            self._begin()
            return
        places = self._archived if kind == "unarchive" else self._threads
        thread = self._chance.choice(places)
        getattr(self, f"_{kind}")(thread)

    def _chosen(self) -> str:
        weights = dict(_WEIGHTS)
        if self._codex:
            weights = {kind: weight for kind, weight in weights.items() if kind not in _BEHIND_CODEX}
        if not self._threads or (len(self._threads) < FEW and self._chance.random() < 0.5):
            return "begin"
        if len(self._threads) > MANY and not self._codex:
            weights["delete"] = 30
        if not self._archived:
            weights.pop("unarchive", None)
        return self._chance.choices(list(weights), list(weights.values()))[0]

    # Operations

    @contextlib.contextmanager
    def _doing(self, kind: str, **about: Any) -> Iterator[Line]:
        """Write down what is intended, and what came of it; the answer goes into what is yielded."""
        self._count += 1
        key = {"w": self.name, "n": self._count}
        self._ledger.put({**key, "s": "intent", "op": kind, **about})
        answer: Line = {}
        try:
            yield answer
        except ThreadkeepError as error:
            self._ledger.put({**key, **self._outcome(error)})
            raise _Stopped from error
        except _Stopped:
            self._ledger.put({**key, "s": "failed"})
            raise
        self._ledger.put({**key, "s": "ack", **answer})

    def _outcome(self, error: ThreadkeepError) -> Line:
        name = type(error).__name__
        # That a lock file cannot be looked at is reason enough to believe the lease lost.
        if isinstance(error, (StorageFailure, LeaseLost)) and self._faulty:
            return {"s": "failed", "error": name}
        if isinstance(error, (InvalidRequest, Conflict)) and not isinstance(error, CodexOwned):
            reason = next((reason for part, reason in _REASONS.items() if part in str(error)), name)
            return {"s": "refused", "error": reason}
        if isinstance(error, (BrokenLineage, RolloutReplaced)):
            return {"s": "failed", "error": name}  # what is half erased is served to nobody
        if "the rollout is gone" in str(error):
            return {"s": "refused", "error": "Gone"}  # deleted while it was read
        return {"s": "broken", "error": f"{name}: {error}"}

    def _look(self) -> bool:
        """See which threads there are."""
        with contextlib.suppress(_Stopped), self._doing("look"):
            found = self.store.list(limit=1_000, chosen=ThreadFilter(archived=None)).data
            self._threads = sorted(thread.id for thread in found if not thread.archived)
            self._archived = sorted(thread.id for thread in found if thread.archived)
            self._stale = self._chance.randint(3, 12)
            return True
        return False

    def _text(self) -> str:
        self._said += 1
        return f"{self.name}-{self._said}"

    def _secretive(self, text: str) -> str:
        """The text as it is told to the store: with a secret, sometimes."""
        return f"{text} <secret-{text}>" if self._chance.random() < _SECRETIVE and not self._codex else text

    def _begin(self) -> None:
        mode = PAGINATED if self._codex or self._chance.random() < 0.7 else LEGACY
        with contextlib.suppress(_Stopped):
            with self._doing("look"):
                writer = self.store.create(cwd="/project", mode=mode, model_provider="mock")
            with writer, self._doing("begin", thread=writer.thread_id):
                self._record(writer)

    def _turn(self, thread: str) -> None:
        with contextlib.suppress(_Stopped):
            with self._doing("look", thread=thread):
                writer = self.store.writer(thread)
            with writer:
                for _ in range(self._chance.choice((1, 1, 2))):
                    self._record(writer)

    def _record(self, writer: Writer) -> None:
        """One turn, each of its records acknowledged one by one."""
        said = self._text()
        about = {"thread": writer.thread_id, "turn": said}
        with self._doing("add", text=said, **about):
            turn = writer.turn(self._secretive(said), model="gpt-5.5")
            turn.__enter__()
        for _ in range(self._chance.randint(0, 3)):
            answer = self._text()
            with self._doing("add", text=answer, **about):
                turn.say(self._secretive(answer))
        if self._chance.random() < 0.12:
            self._compact(turn, about)
        if self._chance.random() < 0.85:
            with self._doing("add", text=END + said, **about):
                turn.__exit__(None, None, None)

    def _compact(self, turn: TurnWriter, about: Line) -> None:
        kept = KEPT + self._text()
        content = [{"type": "input_text", "text": self._secretive(kept)}]
        history = [{"type": "message", "role": "user", "content": content}]
        with self._doing("add", text=kept, **about):
            turn.compact("S", history, window_number=self._said)

    def _fork(self, thread: str) -> None:
        with contextlib.suppress(_Stopped):
            turns = self._turns(thread) if self._chance.random() < 0.7 else {}
            said, turn = self._chance.choice(list(turns.items())) if turns else (None, None)
            how = self._chance.choice(("through", "before"))
            about = {how: said} if said is not None else {}
            with self._doing("fork", thread=thread, **about) as answer:
                if how == "through":
                    answer["child"] = self.store.fork(thread, through=turn).id
                else:
                    answer["child"] = self.store.fork(thread, before=turn).id
            self._read(answer["child"])

    def _revert(self, thread: str) -> None:
        with contextlib.suppress(_Stopped):
            turns = self._turns(thread)
            if not turns:
                return
            said, turn = self._chance.choice(list(turns.items())[-4:])
            with self._doing("revert", thread=thread, before=said):
                self.store.revert(thread, before=turn)

    def _rename(self, thread: str) -> None:
        name = self._text()
        with contextlib.suppress(_Stopped), self._doing("rename", thread=thread, name=name):
            self.store.rename(thread, name, local=self._codex)

    def _archive(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("archive", thread=thread, archived=True):
            self.store.archive(thread)

    def _unarchive(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("archive", thread=thread, archived=False):
            self.store.unarchive(thread)

    def _delete(self, thread: str) -> None:
        cascade = self._chance.random() < 0.2
        with contextlib.suppress(_Stopped), self._doing("delete", thread=thread, cascade=cascade) as answer:
            done = self.store.delete(thread, cascade=cascade, reclaim=self._chance.random() < 0.5)
            answer["threads"] = [each.id for each in done.threads]

    def _erase(self, thread: str) -> None:
        with contextlib.suppress(_Stopped):
            with self._doing("look", thread=thread):
                page = self.store.turns(thread, limit=_MAX_TURNS, view="full").data
            secrets = sorted(set(SECRET.findall(json.dumps(page))))
            if secrets:
                secret = self._chance.choice(secrets)
                with self._doing("erase", thread=thread, secret=secret):
                    self.store.erase(thread, secret)

    def _materialize(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("materialize", thread=thread, allowed=["Whole"]) as answer:
            answer["child"] = self.store.materialize(thread).thread_id

    def _read(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("read", thread=thread) as answer:
            with self.store.snapshot(thread) as snap:
                answer["texts"] = texts_of(snap, limit=_PAGE)
                bounded, full = (found.context for found in (snap.resume(), snap.replay()))
            if [bytes(item.payload) for item in bounded.items] != [bytes(item.payload) for item in full.items]:
                raise AssertionError(f"fast is not full: {thread}")

    def _verify(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("look", thread=thread):
            self.store.verify(thread)

    def _doctor(self, thread: str) -> None:
        with contextlib.suppress(_Stopped), self._doing("look", thread=thread):
            for _ in self.store.doctor(fix=True):
                pass

    def _turns(self, thread: str) -> dict[str, str]:
        """What the user said in each of the newest turns, oldest first, and the turn's id."""
        with self._doing("look", thread=thread):
            page = self.store.turns(thread, limit=_MAX_TURNS, view="full").data[::-1]
        return {said: turn["id"] for turn in page if (said := _said_in(turn)) is not None}


class _Stopped(Exception):
    """The operation was refused or failed, which is written down."""


def _said_in(turn: dict[str, Any]) -> str | None:
    said = [item["content"][0]["text"] for item in turn["items"] if item["type"] == "userMessage"]
    return _plain(said[0]) if said else None


def _plain(text: str) -> str:
    return _AFTER_TEXT.sub("", text)


def texts_of(snap: Any, *, limit: int) -> list[str]:
    """Everything that a thread shows, oldest first: what was said, what was answered, where turns ended.

    Args:
        snap: The thread as it stands: a snapshot.
        limit: Turns of a page.
    """
    turns: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = snap.turns(cursor=cursor, limit=limit, view="full")
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    texts: list[str] = []
    for turn in reversed(turns):
        said = _said_in(turn)
        texts += [said] if said is not None else []
        texts += [_plain(item["text"]) for item in turn["items"] if item["type"] == "agentMessage"]
        if turn["status"] == "completed":
            texts.append(f"{END}{said}")
    return texts


def context_texts(items: list[Any]) -> list[str]:
    """The texts of a model context, as far as they are texts."""
    found = [json.loads(bytes(item.payload)) for item in items]
    return [_plain(part["text"]) for item in found for part in item.get("content") or [] if "text" in part]
