"""Looks at a home with a fresh store, and says whether it holds what the ledger says that it must."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tests.faults.kill_entries import Broken, said
from tests.faults.kill_worker import SECRET, context_texts, texts_of

from threadkeep.backends.local import LocalBackend
from threadkeep.errors import ThreadBusy, ThreadkeepError, ThreadNotFound
from threadkeep.store import ThreadFilter

if TYPE_CHECKING:
    from tests.faults.kill_model import Model

    from threadkeep.store import Thread, ThreadStore

__all__ = ["Checker"]


_HOLE: Final = "nul-bytes"
"""What a power cut leaves of an append that was not acknowledged where it kept its end and not its beginning."""


def _listed(store: ThreadStore) -> list[Thread]:
    """Every thread of a home, archived or not, page by page."""
    found: list[Thread] = []
    cursor: str | None = None
    while True:
        page = store.list(limit=1_000, cursor=cursor, chosen=ThreadFilter(archived=None))
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            return found


class Checker:
    """Compares a home with a model.

    Args:
        model: What the ledger says.
        sure: Whether what is seen is there to stay: nothing but a power cut could take it back.
        strict: Whether nobody else says anything in the home.
        power: Whether the power may have been cut: nothing else leaves holes in a file.

    Attributes:
        threads: Threads that were looked at.
        verified: Threads that were verified.
    """

    def __init__(self, model: Model, *, sure: bool = True, strict: bool = True, power: bool = True) -> None:
        self.model = model
        self.sure = sure
        self.strict = strict
        self.power = power
        self.threads = 0
        self.verified = 0

    def at_rest(self, store: ThreadStore, *, everything: bool = False) -> None:
        """Check a home in which nobody works.

        Args:
            store: A fresh one.
            everything: All threads, not only those that were touched.

        Raises:
            Broken: It does not hold what it must.
        """
        try:
            self._finish_erasing(store)
            there = {thread.id: thread for thread in _listed(store)}
            self._unknown(store, {thread: there[thread].forked_from_id for thread in there})
            wanted = set(self.model.threads) if everything else self.model.touched & set(self.model.threads)
            for thread in sorted(wanted):
                self._thread(store, thread, listed=thread in there)
            self._doctor(store)
            self._erased(store)
        except ThreadkeepError as error:
            raise Broken(f"the home cannot be looked at: {type(error).__name__}: {error}") from error
        self.model.lost_forks.clear()
        self.model.touched.clear()

    def _finish_erasing(self, store: ThreadStore) -> None:
        """What was cut off is done again: until then who inherits may be refused."""
        for op, (thread, secret) in list(self.model.erasing.items()):
            try:
                store.erase(thread, secret)
            except ThreadNotFound:
                for other in _listed(store):
                    store.erase(other.id, secret)
                self.model.finished_erasing(op, everywhere=False)
            else:
                self.model.finished_erasing(op, everywhere=True)

    def _erased(self, store: ThreadStore) -> None:
        """No file of the home holds what was erased; `erase` says of the catalog that it may."""
        assert isinstance(store.backend, LocalBackend)
        for folder, _, names in os.walk(store.backend.home):
            for name in names:
                if name.startswith("catalog.sqlite"):
                    continue
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    held = self.model.erased & set(SECRET.findall(file.read()))
                if held:
                    raise Broken(f"{os.path.join(folder, name)} holds {' '.join(held)}, which was erased")

    def _unknown(self, store: ThreadStore, there: dict[str, str | None]) -> None:
        """Threads that nobody acknowledged can only be forks that were under way."""
        for thread in sorted(set(there) - set(self.model.threads)):
            with store.snapshot(thread) as snap:
                found = texts_of(snap, limit=50)
            if not self.model.adopt(thread, found, there[thread]) and self.strict:
                raise Broken(f"thread {thread} is there, a fork of {there[thread]} that nobody made: {' '.join(found)}")

    def _thread(self, store: ThreadStore, thread: str, *, listed: bool) -> None:
        known = self.model.threads[thread]
        possible = known.there.possible
        if not self._texts(store, thread):
            if listed:
                raise Broken(f"thread {thread} is listed and cannot be found")
            if self.sure:
                self.model.forget(thread)
            return
        if not listed:
            raise Broken(f"thread {thread} is there and is not listed")
        facts = store.read(thread)
        self._is_one_of(thread, "name", facts.name, known.name.possible)
        self._is_one_of(thread, "archived", facts.archived, known.archived.possible)
        if self.sure:
            known.name.settle(facts.name)
            known.archived.settle(facts.archived)
            if False in possible:
                known.there.settle(True)
                known.begun = None
        verification = store.verify(thread)
        self.verified += 1
        wrong = [
            one
            for one in verification.checks
            if not one.ok and not (self.power and "NUL bytes" in (one.difference or ""))
        ]
        damage = [one for one in verification.damage if one.severity == "error" and not self._is_hole(one.kind)]
        if verification.problem is not None or wrong or damage:
            raise Broken(f"verify of {thread}: {verification.problem} {wrong} {damage}")
        self._lease(store, thread)

    def _texts(self, store: ThreadStore, thread: str) -> bool:
        """Compare what a thread shows; whether it is there."""
        self.threads += 1
        known = self.model.threads[thread]
        possible = known.there.possible
        try:
            with store.snapshot(thread) as snap:
                found = texts_of(snap, limit=50)
                context = context_texts(snap.resume().context.items)
        except ThreadNotFound:
            if False not in possible:
                raise Broken(f"thread {thread} is gone, and nobody deleted it") from None
            return False
        except ThreadkeepError as error:
            raise Broken(f"thread {thread} cannot be read: {type(error).__name__}: {error}") from error
        if True not in possible:
            raise Broken(f"thread {thread} is there, although it was deleted")
        texts = {entry.text for entries in known.possible() for entry in entries}
        told = [text for text in context if text in texts or (self.strict and not text.startswith("<"))]
        fits = known.fits(found, told)
        if not fits:
            was = "; or ".join(sorted(said(entries) for entries in known.possible()))
            raise Broken(f"thread {thread} shows {' '.join(found)} and tells {' '.join(told)}; it must be: {was}")
        known.settle(fits, sure=self.sure)
        return True

    def _is_one_of(self, thread: str, what: str, found: object, possible: list[object]) -> None:
        if found not in possible:
            raise Broken(f"thread {thread} has {what} {found!r}; it must be one of {possible}")

    def _lease(self, store: ThreadStore, thread: str) -> None:
        try:
            store.backend.lease(thread).release()
        except ThreadBusy as error:
            raise Broken(f"a lock was left behind: {error}") from error

    def _doctor(self, store: ThreadStore) -> None:
        for finding in store.doctor():
            if finding.severity == "error" and not self._is_hole(finding.kind):
                raise Broken(f"doctor finds {finding.kind} at {finding.thread} {finding.path}: {finding.detail}")

    def _is_hole(self, kind: str) -> bool:
        return self.power and kind == _HOLE
