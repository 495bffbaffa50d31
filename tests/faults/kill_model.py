"""What a home may hold, going by the ledger: each thread as a list of what was said, and nothing shared.

A thread's history is known but for what was not acknowledged: a text that was intended may be there or not, a revert
may have happened or not. So a thread is a set of possible histories, each a list of entries of which those that were
acknowledged must be there, in order, once, and the others may. Names, the archive and existence are registers: any
value that was set last in some order that the ledger allows. What was erased is nowhere; while somebody erases, and
after somebody was cut off at it until it is done again, who inherits may be refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.faults.kill_entries import Broken, Entries, Entry, before, fitting, said, telling, through
from tests.faults.kill_register import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["History", "Model", "Thread"]

_OF_ERASING: Final = frozenset({"BrokenLineage", "RolloutReplaced"})
"""What only who reads beside an erasure may meet."""

_MOST: Final = 512
"""Possible histories of one thread; beyond that the run asks for too much at once."""


class History(NamedTuple):
    """One possible history of a thread: its entries, and which reverts that are not acknowledged happened in it."""

    entries: Entries
    reverted: frozenset[str] = frozenset()


class Thread:
    """What is known of one thread."""

    def __init__(self, possible: Iterable[Entries] = ((),), *, begun: str | None = None) -> None:
        self.histories = {History(entries) for entries in possible}
        self.reverting: dict[str, str] = {}
        """Reverts at work: the operation and the turn before which it cuts."""
        self.name = Register(None)
        self.archived = Register(False)
        self.there = Register(begun is None)
        """Whether it is there; of a thread whose first record was not acknowledged nobody knows."""
        self.begun = begun
        """The operation that begins it, until something in it was acknowledged."""
        self.was_deleted = self.was_reverted = self.was_archived = False
        """Whether somebody ever tried: what a refusal may say."""
        self.inherited: frozenset[str] = frozenset()
        """What a fork that nobody has looked at yet may have inherited: once it was looked at, it stays so."""

    def possible(self) -> set[Entries]:
        """Every possible list of entries."""
        return {history.entries for history in self.histories}

    def change(self, change: Callable[[History], History | None]) -> None:
        """Change each possible history, and let each revert that is at work happen, or not."""
        self.histories = {changed for history in self.histories if (changed := change(history)) is not None}
        self.spread()

    def spread(self) -> None:
        """Let each revert that is at work have happened by now, or not."""
        while True:
            more = {
                History(cut, history.reverted | {op})
                for history in self.histories
                for op, turn in self.reverting.items()
                if op not in history.reverted and (cut := before(history.entries, turn)) is not None
            }
            if more <= self.histories:
                return
            self.histories |= more
            assert len(self.histories) <= _MOST, "the ledger leaves too much open"

    def fits(self, found: list[str], told: list[str]) -> set[Entries]:
        """The possible lists that agree with the texts that are shown and told, with what is known of them then."""
        shown = (fitting(entries, found) for entries in self.possible())
        known = (telling(entries, told) for entries in shown if entries is not None)
        return {entries for entries in known if entries is not None}

    def settle(self, known: set[Entries], *, sure: bool) -> None:
        """It was looked at, with nobody at work.

        Args:
            known: What `fits` said.
            sure: Whether what was seen is there to stay.
        """
        if sure:
            self.reverting = {}
            self.histories = {History(tuple(one for one in entries if one.may_be_there)) for entries in known}
        elif self.inherited:
            inherited = {entry.text: entry for entries in known for entry in entries if entry.text in self.inherited}
            self.histories = {
                history._replace(entries=tuple(inherited.get(one.text, one) for one in history.entries))
                for history in self.histories
            }
        self.inherited = frozenset()


class _Watch(NamedTuple):
    """Somebody looks at a thread between two lines of the ledger: all that it may have seen."""

    thread: str
    makes: bool
    cut: tuple[str, str | None]
    seen: set[Entries]


class Model:
    """Everything that a ledger says.

    Attributes:
        threads: What is known of each thread.
        acknowledged: How many operations were acknowledged.
        touched: Threads that somebody did something to since this was emptied.
        erasing: By operation, the thread and the secret of what was not acknowledged: it is to be done again.
        erased: What no file may hold any more.
    """

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self.acknowledged = 0
        self.texts = 0
        self.touched: set[str] = set()
        self.erasing: dict[str, tuple[str, str]] = {}
        self.erased: set[str] = set()
        self.lost_forks: list[_Watch] = []
        """Forks that were not acknowledged: a child of each may be there."""
        self._line = 0
        self._watches: dict[str, _Watch] = {}
        self._open: dict[str, dict[str, Any]] = {}
        self._erased_at = -1
        self._copies: list[_Watch] = []
        """What was materialized: such a copy is a thread of its own, and keeps what is erased elsewhere."""
        self._sources: dict[str, set[str]] = {}
        """The threads that each may have come from."""
        self._cascades: dict[str, set[str]] = {}
        """Everything that each deletion with what came of it may delete."""
        self._gone: set[str] = set()
        """What such deletions said that they deleted, known by then or not."""

    # Lines

    def take(self, line: dict[str, Any]) -> None:
        """Take the next line of the ledger.

        Raises:
            Broken: What it says cannot be.
        """
        self._line += 1
        if line["s"] == "dead":
            for op in [op for op, opened in self._open.items() if opened["w"] == line["w"]]:
                self._ended(op, self._open.pop(op))
            return
        op = f"{line['w']}.{line['n']}"
        if line["s"] == "broken":
            raise Broken(f"worker {line['w']} met what must not be at {self._open.get(op)}: {line['error']}")
        if line["s"] == "intent":
            self._open[op] = {**line, "at": self._line}
            self._intended(op, line)
            return
        opened = self._open.pop(op)
        if line["s"] == "ack":
            self.acknowledged += 1
            self._acknowledged(op, opened, line)
        elif line["s"] == "refused":
            self._refused(op, opened, line["error"])
        else:
            error = line.get("error")
            if error in _OF_ERASING and not self.erasing and self._erased_at < opened["at"]:
                raise Broken(f"{opened['op']} {op} of {opened.get('thread')}: nobody erases, and it says {error}")
            self._ended(op, opened)

    def _thread(self, thread: str) -> Thread:
        self.touched.add(thread)
        if thread not in self.threads:
            # Somebody met a child of a fork that is not acknowledged yet, or never will be.
            under_way = [watch for watch in self._watches.values() if watch.makes] + self.lost_forks
            if not under_way:
                raise Broken(f"thread {thread} was met, and nobody made it")
            seen = {entries for watch in under_way for entries in watch.seen}
            self._forked(thread, seen, {watch.thread for watch in under_way})
            for watch in under_way:
                self._copied(thread, self.threads.get(watch.thread))
        return self.threads[thread]

    def _intended(self, op: str, line: dict[str, Any]) -> None:
        kind = line["op"]
        if kind == "begin":
            thread = self.threads[line["thread"]] = Thread(begun=op)
            thread.there.intend(op, self._line, value=True)
            self.touched.add(line["thread"])
            return
        if kind == "look":
            return
        thread = self._thread(line["thread"])
        if kind == "add":
            entry = Entry(line["text"], line["turn"])
            thread.change(lambda history: history._replace(entries=(*history.entries, entry)))
            self._seen_by_all(line["thread"])
        elif kind == "revert":
            thread.was_reverted = True
            thread.reverting[op] = line["before"]
            thread.spread()
            self._seen_by_all(line["thread"])
        elif kind in ("fork", "read", "materialize"):
            cut = "through" if "through" in line else "before" if "before" in line else "head"
            watch = _Watch(line["thread"], kind != "read", (cut, line.get(cut)), set())
            self._watches[op] = watch
            self._see(watch)
            if kind == "materialize":
                self._copies.append(watch)
        elif kind == "rename":
            thread.name.intend(op, self._line, line["name"])
        elif kind == "archive":
            thread.was_archived = True
            thread.archived.intend(op, self._line, line["archived"])
        elif kind == "delete":
            self._cascades[op] = set()
            self._may_delete(op, self._came_of(line["thread"]) if line["cascade"] else {line["thread"]})
        elif kind == "erase":
            self.erasing[op] = (line["thread"], line["secret"])

    def _came_of(self, thread: str) -> set[str]:
        """A thread and everything that may have come of it."""
        found, size = {thread}, 0
        while size < len(found):
            size = len(found)
            found |= {child for child, sources in self._sources.items() if sources & found}
        return found

    def _may_delete(self, op: str, threads: set[str]) -> None:
        self._cascades[op] |= threads
        for each in threads & self.threads.keys():
            self.touched.add(each)
            self.threads[each].was_deleted = True
            self.threads[each].there.intend(op, self._line, value=False)

    def _existence(self, op: str) -> dict[str, Register]:
        """Of everything that an operation that is over may have deleted, whether it is there."""
        return {each: self.threads[each].there for each in self._cascades.pop(op, ()) if each in self.threads}

    def _seen_by_all(self, thread: str) -> None:
        for watch in self._watches.values():
            if watch.thread == thread:
                self._see(watch)

    def _see(self, watch: _Watch) -> None:
        kind, turn = watch.cut
        for entries in self.threads[watch.thread].possible():
            cut: Entries | None = entries
            if turn is not None:
                cut = through(entries, turn) if kind == "through" else before(entries, turn)
            if cut is not None:
                watch.seen.add(cut)

    def _acknowledged(self, op: str, opened: dict[str, Any], line: dict[str, Any]) -> None:
        kind = opened["op"]
        if kind in ("look", "begin"):
            return
        thread = self._thread(opened["thread"])
        if kind == "add":
            self.texts += 1
            if thread.begun is not None:
                thread.there.acknowledge(thread.begun, self._line)
                thread.begun = None
            text = opened["text"]
            thread.change(lambda history: history._replace(entries=_made_sure(history.entries, text)))
            self._seen_by_all(opened["thread"])
        elif kind == "revert":
            del thread.reverting[op]
            thread.change(
                lambda history: history._replace(reverted=history.reverted - {op}) if op in history.reverted else None
            )
            if not thread.histories:
                raise Broken(f"revert {op} of {opened['thread']} cannot have happened")
            self._seen_by_all(opened["thread"])
        elif kind == "read":
            self._may_have_read(op, opened, line["texts"])
        elif kind == "fork":
            self._forked(line["child"], self._watches.pop(op).seen, {opened["thread"]})
        elif kind == "materialize":
            watch = self._watches.pop(op)
            if line["child"] != opened["thread"]:
                self._forked(line["child"], watch.seen, {opened["thread"]})
                self._copied(line["child"], thread)
        elif kind == "rename":
            thread.name.acknowledge(op, self._line)
        elif kind == "archive":
            thread.archived.acknowledge(op, self._line)
        elif kind == "delete":
            self._gone |= set(line["threads"])
            self._may_delete(op, set(line["threads"]) - self._cascades[op])
            for each, there in self._existence(op).items():
                if each in line["threads"]:
                    there.acknowledge(op, self._line)
                else:
                    there.refuse(op)
        elif kind == "erase":
            self._erased(op)

    def _erased(self, op: str) -> None:
        secret = self.erasing.pop(op)[1]
        if not any(secret == f"<secret-{entry.text}>" for copy in self._copies for seen in copy.seen for entry in seen):
            self.erased.add(secret)
        self._erased_at = self._line

    def _may_have_read(self, op: str, opened: dict[str, Any], found: list[str]) -> None:
        watch = self._watches.pop(op)
        if not any(fitting(one, found) is not None for one in watch.seen):
            was = "; or ".join(sorted(said(one) for one in watch.seen))
            raise Broken(f"read {op} of {opened['thread']} shows {' '.join(found)}, which it never was; it was {was}")

    def _forked(self, child: str, seen: set[Entries], sources: set[str]) -> None:
        self._sources.setdefault(child, set()).update(sources)
        if child in self.threads:
            return  # somebody met it before
        made = self.threads[child] = Thread(seen)
        made.inherited = frozenset(entry.text for entries in seen for entry in entries)
        self.touched.add(child)
        if child in self._gone:
            made.there = Register(False)
            made.was_deleted = True
        for op, threads in self._cascades.items():
            if sources & threads and self._open[op]["cascade"]:
                self._may_delete(op, {child})

    def _copied(self, child: str, source: Thread | None) -> None:
        """A materialized copy has the name of what it was copied from, and is archived if that is."""
        if source is not None:
            self.threads[child].name.copy(source.name)
            self.threads[child].archived.copy(source.archived)

    def adopt(self, child: str, found: list[str], source: str | None) -> bool:
        """Whether a thread that nobody acknowledged is a child of a fork that was under way; it is known from then."""
        for watch in self.lost_forks:
            kept = {entries for one in watch.seen if (entries := fitting(one, found)) is not None}
            if kept and source in (watch.thread, None):
                self._forked(child, kept, {watch.thread})
                self._copied(child, self.threads.get(watch.thread))
                self.lost_forks.remove(watch)
                return True
        return False

    def _refused(self, op: str, opened: dict[str, Any], error: str) -> None:
        """Nothing was changed, and the reason is one that can be."""
        kind = opened["op"]
        self._watches.pop(op, None)
        thread = self.threads.get(opened.get("thread", ""))
        if thread is None:
            return
        allowed = error == "ThreadBusy"
        allowed = allowed or (error == "ThreadNotFound" and (thread.was_deleted or False in thread.there.possible))
        allowed = allowed or (error == "Gone" and thread.was_deleted)
        allowed = allowed or (error == "TurnNotFound" and thread.was_reverted)
        allowed = allowed or (error == "Archived" and thread.was_archived)
        allowed = allowed or error in opened.get("allowed", ())
        if not allowed:
            raise Broken(f"{kind} {op} of {opened['thread']} was refused with {error}, for which there is no reason")
        if kind == "revert":
            del thread.reverting[op]
            thread.change(lambda history: history if op not in history.reverted else None)
            self._seen_by_all(opened["thread"])
        elif kind == "rename":
            thread.name.refuse(op)
        elif kind == "archive":
            thread.archived.refuse(op)
        elif kind == "delete":
            for there in self._existence(op).values():
                there.refuse(op)
        elif kind == "erase":
            del self.erasing[op]
        elif kind == "add":
            text = opened["text"]
            thread.change(
                lambda history: history._replace(entries=tuple(one for one in history.entries if one.text != text))
            )

    def _ended(self, op: str, opened: dict[str, Any]) -> None:
        """Nobody works on it any more, and nobody knows what came of it."""
        kind = opened["op"]
        watch = self._watches.pop(op, None)
        if watch is not None and watch.makes:
            self.lost_forks.append(watch)
        thread = self.threads.get(opened.get("thread", ""))
        if thread is None:
            return
        if kind == "revert":
            thread.reverting.pop(op, None)
        for register in (thread.name, thread.archived, thread.there, *self._existence(op).values()):
            register.dead(op, self._line)

    def finished_erasing(self, op: str, *, everywhere: bool) -> None:
        """Nobody works any more, and what was cut off was done again.

        Args:
            op: The operation.
            everywhere: Whether the thread was there that it was about.
        """
        if everywhere:
            self._erased(op)
        else:
            del self.erasing[op]

    def forget(self, thread: str) -> None:
        """It is gone for good."""
        del self.threads[thread]
        self.touched.discard(thread)


def _made_sure(entries: Entries, text: str) -> Entries:
    return tuple(entry._replace(shows=True, tells=True) if entry.text == text else entry for entry in entries)
