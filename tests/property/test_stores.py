"""Whatever is done to a store, in whatever order: every thread is what a list of its own would be."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from tests.property.homes import Home, context, note, share, shown
from tests.property.model import Thread, Told, Turn

from threadkeep.errors import ThreadBusy, ThreadNotFound
from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from threadkeep.store import TurnWriter, Writer

__all__ = ["TestStoreInAHome", "TestStoreInMemory"]

texts = st.sampled_from(["a", "b", "ab"])
endings = st.sampled_from(["complete", "complete", "complete", "fail", "interrupt", "crash"])


class _Store(RuleBasedStateMachine):
    """Every operation on threads, against the model."""

    threads = Bundle("threads")
    local = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="threadkeep-property-") if self.local else None
        self.home = Home(self.folder)
        self.model: dict[str, Thread] = {}
        self.archived: set[str] = set()
        self.writing: dict[str, tuple[Writer, TurnWriter]] = {}
        self.touched: set[str] = set()

    def teardown(self) -> None:
        try:
            for thread in self.model:
                self._check(thread, limit=1)
        finally:
            for writer, _ in self.writing.values():
                writer.close()
            self.home.store.close()
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)

    # What is done

    @initialize(target=threads, mode=st.sampled_from([PAGINATED, LEGACY]))
    def begin(self, mode: str) -> str:
        return self._create(mode, "first")

    @rule(target=threads, mode=st.sampled_from([PAGINATED, PAGINATED, LEGACY]), text=texts)
    def create(self, mode: str, text: str) -> str:
        return self._create(mode, text)

    def _create(self, mode: str, text: str) -> str:
        with self.home.store.create(cwd="/project", mode=mode, model_provider="mock") as writer:
            self.model[writer.thread_id] = Thread()
            self._turn(writer, text, [], "complete")
            return writer.thread_id

    @rule(thread=threads, text=texts, answers=st.lists(texts, max_size=2), ending=endings, noted=st.booleans())
    def say(self, thread: str, text: str, answers: list[str], ending: str, noted: bool) -> None:
        if not self._free(thread):
            return
        with self.home.store.writer(thread) as writer:
            if noted:
                note(writer)
            self._turn(writer, text, answers, ending)

    @rule(thread=threads, text=texts, kept=texts)
    def compact(self, thread: str, text: str, kept: str) -> None:
        if not self._free(thread):
            return
        with self.home.store.writer(thread) as writer, writer.turn(text) as turn:
            made = Turn(turn.id, text).with_told(Told((text,)))
            history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": kept}]}]
            turn.compact("S", history, window_number=len(self.model[thread].turns) + 1)
            turn.say("after")
            made = made.with_told(Told((kept,), anew=True)).answered("after")
        self._became(thread, made._replace(status="completed", ended=True))

    @rule(thread=threads, text=texts)
    def begin_turn(self, thread: str, text: str) -> None:
        if not self._free(thread):
            return
        writer = self.home.store.writer(thread)
        turn = writer.turn(text)
        self.writing[thread] = (writer, turn)
        turn.__enter__()
        self._became(thread, Turn(turn.id, text).with_told(Told((text,))))

    @rule(thread=threads, text=texts)
    def go_on(self, thread: str, text: str) -> None:
        if thread in self.writing:
            self.writing[thread][1].say(text)
            self._became(thread, self.model[thread].turns[-1].answered(text))

    @rule(thread=threads)
    def end_turn(self, thread: str) -> None:
        if thread in self.writing:
            writer, turn = self.writing.pop(thread)
            turn.__exit__(None, None, None)
            writer.close()
            self._became(thread, self.model[thread].turns[-1]._replace(status="completed", ended=True))

    @rule(target=threads, thread=threads, how=st.sampled_from(["head", "through", "before"]), place=st.integers(0, 8))
    def fork(self, thread: str, how: str, place: int) -> Any:
        if thread not in self.model:
            return multiple()
        source = self.model[thread]
        if how == "head" or not source.turns:
            child = self.home.store.fork(thread)
            made = source.forked()
        else:
            at = place % len(source.turns)
            named = source.turns[at].id
            if how == "through":
                child, made = self.home.store.fork(thread, through=named), source.forked(through=at)
            else:
                child, made = self.home.store.fork(thread, before=named), source.forked(before=at)
        self.model[child.id] = made
        self.touched |= {child.id, thread}
        return child.id

    @rule(thread=threads, place=st.integers(0, 8))
    def revert(self, thread: str, place: int) -> None:
        if not self._free(thread) or not self.model[thread].turns:
            return
        at = place % len(self.model[thread].turns)
        self.home.store.revert(thread, before=self.model[thread].turns[at].id)
        self.model[thread] = Thread(self.model[thread].turns[:at])
        self.touched.add(thread)

    @rule(thread=threads)
    def archive(self, thread: str) -> None:
        if self._free(thread):
            self.home.store.archive(thread)
            self.archived.add(thread)
            self.touched.add(thread)

    @rule(thread=threads)
    def unarchive(self, thread: str) -> None:
        if thread in self.archived:
            self.home.store.unarchive(thread)
            self.archived.discard(thread)
            self.touched.add(thread)

    @rule(thread=consumes(threads), reclaim=st.booleans())
    def delete(self, thread: str, reclaim: bool) -> None:
        if not self._free(thread, archived=True):
            return
        self.home.store.delete(thread, reclaim=reclaim)
        del self.model[thread]
        self.archived.discard(thread)
        self.touched |= set(self.model)
        with pytest.raises(ThreadNotFound):
            self.home.store.read(thread)

    @rule()
    def reopen(self) -> None:
        if not self.writing:
            self.home.reopen()

    @rule(thread=threads)
    def write_twice(self, thread: str) -> None:
        if thread in self.writing:
            with pytest.raises(ThreadBusy):
                self.home.store.writer(thread)

    # What must hold

    @invariant()
    def every_thread_that_was_touched_is_its_model(self) -> None:
        for thread in sorted(self.touched & set(self.model)):
            self._check(thread, limit=2)
        self.touched = set()

    def _check(self, thread: str, *, limit: int) -> None:
        store, model = self.home.store, self.model[thread]
        assert shown(store, thread, limit=limit, descending=True) == model.shown
        assert shown(store, thread, limit=limit, descending=False) == model.shown
        assert context(store, thread) == model.context

    # Helpers

    def _free(self, thread: str, *, archived: bool = False) -> bool:
        return thread in self.model and thread not in self.writing and (archived or thread not in self.archived)

    def _became(self, thread: str, turn: Turn) -> None:
        self.model[thread] = self.model[thread].with_turn(turn)
        self.touched.add(thread)

    def _turn(self, writer: Writer, text: str, answers: list[str], ending: str) -> None:
        turn = writer.turn(text)
        turn.__enter__()
        made = Turn(turn.id, text).with_told(Told((text,)))
        for answer in answers:
            turn.say(answer)
            made = made.answered(answer)
        if ending == "crash":
            self._became(writer.thread_id, made)
            return
        if ending == "fail":
            turn.fail("it failed")
        if ending == "interrupt":
            turn.interrupt()
            made = made.interrupted()
        turn.__exit__(None, None, None)
        status = {"complete": "completed", "fail": "failed", "interrupt": "interrupted"}[ending]
        self._became(writer.thread_id, made._replace(status=status, ended=True))


class _LocalStore(_Store):
    local = True


TestStoreInMemory = _Store.TestCase
TestStoreInMemory.settings = share(50, stateful_step_count=25)
TestStoreInAHome = _LocalStore.TestCase
TestStoreInAHome.settings = share(15, stateful_step_count=20)
