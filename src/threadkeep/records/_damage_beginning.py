"""The beginning of a rollout and its ``session_meta`` records, while one pass goes over them.

The rules are `read_head`'s: the first readable record decides, and behind a damaged first line a ``session_meta``
counts only if it names the thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records._damage_payloads import Verdict, misfit
from threadkeep.records._damage_report import Place, Report, printable
from threadkeep.records._head import HEAD_LINES
from threadkeep.records._payloads import SessionMeta
from threadkeep.records._policy import HISTORY_MODES, LEGACY, PAGINATED

if TYPE_CHECKING:
    from threadkeep.records._damage_kinds import DamageKind
    from threadkeep.records._record import Record

__all__ = ["Beginning"]

_REQUIRED: Final = ("timestamp", "cwd", "originator", "cli_version")


class _Mode(msgspec.Struct):
    history_mode: str = LEGACY


class Beginning:
    """What the beginning of a rollout says, and what its later ``session_meta`` records do to it.

    Attributes:
        meta: The canonical ``session_meta``; None as long as none was found.
        mode: History mode: stated, else inferred from the first readable record; None before there is one.
        bare: Whether the rollout begins with a line from before the envelope.
    """

    def __init__(self, report: Report, thread_id: str | None) -> None:
        self._report = report
        self._thread_id = thread_id
        self._seen = False
        self._damaged = False
        self._hidden = 0
        self.meta: SessionMeta | None = None
        self.mode: str | None = None
        self.bare = False

    def damaged(self, place: Place, kind: DamageKind, reason: str) -> bool:
        """Take a line that cannot be read; whether it was the first one, and so is reported here."""
        if self._seen:
            return False
        self._seen = self._damaged = True
        self._report.add(
            "first-line-damaged",
            place,
            f"the first line cannot be read ({kind}): {reason}; Codex cannot open the thread, and without another "
            "session_meta that names it what it inherits is not known",
        )
        return True

    def feed(self, record: Record, verdict: Verdict, view: object, place: Place) -> bool:
        """Take the next readable record; whether it is the canonical ``session_meta``."""
        first, self._seen = not self._seen, True
        if first:
            self.bare = record.bare
        if self.mode is None:
            self.mode = PAGINATED if record.ordinal is not None else LEGACY
        if record.kind != "session_meta":
            self._hidden += 1
            if first:
                self._report.add(
                    "no-session-meta",
                    place,
                    f"the first record is a {printable(record.kind)}, not a session_meta: Codex cannot resume the "
                    f"thread, and threadkeep takes it for {self.mode}",
                )
        elif verdict == "misfit" or not isinstance(view, SessionMeta):
            self._misfit(record, place, first=first)
        elif self.meta is not None or place.line > HEAD_LINES:
            self._further(view, place)
        elif self._damaged and self._thread_id is not None and view.id != self._thread_id:
            self._copied(view, place)
        else:
            self._canonical(record, view, place)
            return True
        return False

    def finish(self) -> None:
        """The rollout ends here."""
        if not self._seen:
            self._report.add(
                "no-session-meta", Place(0, 0, 0), "the rollout holds no record: no thread can be opened from it"
            )

    def _misfit(self, record: Record, place: Place, *, first: bool) -> None:
        stated = record.view(_Mode)
        if stated is not None and stated.history_mode not in HISTORY_MODES:
            self._unknown_mode(stated.history_mode, place)
        elif first:
            self._seen = False
            self.damaged(place, "misfit", misfit(record))
        else:
            self._report.add("misfit", place, f"the session_meta does not count: {misfit(record)}")
        self._damaged = True

    def _unknown_mode(self, mode: str, place: Place) -> None:
        self._report.add(
            "unknown-mode",
            place,
            f"the session_meta names the history mode '{printable(mode)}', which only a newer program understands: "
            "the thread is not opened",
        )

    def _canonical(self, record: Record, meta: SessionMeta, place: Place) -> None:
        self.meta = meta
        self._hidden = 0
        if meta.history_mode in HISTORY_MODES:
            self.mode = meta.history_mode
        else:
            self._unknown_mode(meta.history_mode, place)
        if self._thread_id is not None and meta.id != self._thread_id:
            self._report.add(
                "other-thread",
                place,
                f"the session_meta names thread {printable(meta.id)}, not {printable(self._thread_id)}: the thread is "
                "not opened from this rollout",
            )
        missing = [] if record.bare else _missing(meta)
        if missing:
            self._report.add(
                "incomplete-meta",
                place,
                f"the session_meta states no {' and no '.join(missing)}: Codex cannot open the thread, threadkeep can",
            )
        if self.mode == LEGACY and meta.history_base is not None:
            self._report.add(
                "base-in-legacy",
                place,
                f"the legacy rollout states a history base (rollout {printable(meta.history_base.thread_id)}), which "
                "no reader follows: the thread begins here",
            )

    def _further(self, meta: SessionMeta, place: Place) -> None:
        own = meta.id == (self.meta.id if self.meta is not None else self._thread_id)
        if self.mode == PAGINATED and (own or self._hidden > 0) and not _missing(meta):
            self._report.add(
                "hiding-meta",
                place,
                f"a further session_meta of thread {printable(meta.id)} hides the {self._hidden:,} records before it "
                "from the model context; turn lists show them",
            )
            self._hidden = 0
        elif own:
            self._report.add(
                "repeated-meta",
                place,
                "a further session_meta of the thread itself: later values replace earlier ones, but for the history "
                "mode",
            )
        else:
            self._copied(meta, place)

    def _copied(self, meta: SessionMeta, place: Place) -> None:
        self._report.add(
            "copied-meta",
            place,
            f"a session_meta of thread {printable(meta.id)}: the records that follow were copied from it, and nothing "
            "it says is about this thread",
        )


def _missing(meta: SessionMeta) -> list[str]:
    """The fields without which Codex does not count a ``session_meta`` (0.169.0 observed)."""
    return [name for name in _REQUIRED if getattr(meta, name) is None or (name == "timestamp" and not meta.timestamp)]
