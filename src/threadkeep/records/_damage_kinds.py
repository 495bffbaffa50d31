"""Everything that can be wrong with one rollout, by kind: how bad it is and what it means.

The table is the documentation: the reference of ``threadkeep verify`` is generated from it. What it says of Codex is
0.169.0 observed (``storage.md`` 2.1, 5.1, 7.3; ``app-server.md`` 5).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAMAGE_KINDS", "DamageKind", "Severity"]

Severity = Literal["info", "warning", "error"]
"""How bad a damage is.

``error``: something that was recorded cannot be read, or the thread cannot be opened by threadkeep or by Codex.
``warning``: what is whole is read, but a reader sees more, less or something else than was meant.
``info``: worth knowing; threadkeep loses nothing by it.
"""

DamageKind = Literal[
    "empty",
    "first-line-damaged",
    "no-session-meta",
    "incomplete-meta",
    "unknown-mode",
    "other-thread",
    "base-in-legacy",
    "repeated-meta",
    "copied-meta",
    "hiding-meta",
    "copied-prefix-short",
    "byte-order-mark",
    "crlf",
    "blank-line",
    "nul-bytes",
    "nul-tail",
    "torn-tail",
    "being-written",
    "missing-newline",
    "cut-short",
    "not-json",
    "invalid-utf8",
    "lone-surrogate",
    "too-deep",
    "deep-nesting",
    "big-integer",
    "oversized",
    "no-envelope",
    "before-envelope",
    "unknown-type",
    "misfit",
    "ordinal-missing",
    "last-ordinal-missing",
    "ordinal-duplicate",
    "ordinal-back",
    "ordinal-gap",
    "ordinal-start",
    "ordinal-too-big",
    "ordinal-in-legacy",
    "timestamp-unreadable",
    "timestamp-back",
    "turn-without-end",
    "turn-without-start",
    "call-without-output",
]
"""What is wrong; `DAMAGE_KINDS` says what each kind means."""

_BEGINNING: Final[dict[DamageKind, tuple[Severity, str]]] = {
    "empty": (
        "error",
        "The rollout has no bytes: no thread can be opened from it, and nothing in it can be recovered.",
    ),
    "first-line-damaged": (
        "error",
        (
            "The first line cannot be read, and with it the session_meta. Codex cannot open the thread. threadkeep "
            "takes a session_meta that names the thread from the next lines, or reads on without one; what the "
            "rollout inherits is then not known."
        ),
    ),
    "no-session-meta": (
        "error",
        (
            "The rollout does not begin with a session_meta. Codex cannot resume the thread. threadkeep takes a "
            "session_meta from the next lines, or the history mode from the first record; what the rollout inherits "
            "is then not known."
        ),
    ),
    "incomplete-meta": (
        "error",
        (
            "The session_meta lacks a field that Codex requires (timestamp, cwd, originator, cli_version). Codex "
            "cannot open the thread, threadkeep can."
        ),
    ),
    "unknown-mode": (
        "error",
        (
            "The session_meta names a history mode that this version does not know. Nothing opens the thread: a "
            "newer program wrote it."
        ),
    ),
    "other-thread": (
        "error",
        (
            "The session_meta names another thread than the one that the rollout must belong to. Nothing is served "
            "from it."
        ),
    ),
    "base-in-legacy": (
        "warning",
        "A legacy rollout states a history base. No reader follows it: the thread begins with this rollout.",
    ),
    "repeated-meta": (
        "info",
        "A further session_meta of the thread itself: how legacy rollouts record a change of what it says.",
    ),
    "copied-meta": (
        "info",
        (
            "A further session_meta, of another thread: what follows was copied from it. Nothing it says is about "
            "this thread."
        ),
    ),
    "hiding-meta": (
        "warning",
        (
            "A further session_meta in the middle of a paginated rollout. It hides the rollout's records before it "
            "from the model context; turn lists still show them."
        ),
    ),
    "copied-prefix-short": (
        "error",
        (
            "A sub-agent's rollout ends within the history that it was to copy from its parent. Codex cannot resume "
            "the thread."
        ),
    ),
}

_BYTES: Final[dict[DamageKind, tuple[Severity, str]]] = {
    "byte-order-mark": (
        "error",
        (
            "A byte order mark stands before a record. threadkeep reads past it. Codex does not count the record, "
            "and cannot open the thread where it is the first one."
        ),
    ),
    "crlf": (
        "warning",
        (
            "The line ends in CR LF. The record counts, but another program than Codex wrote or rewrote the rollout, "
            "and the places at which other threads fork from it may have moved."
        ),
    ),
    "blank-line": ("info", "A line that holds no record. Every reader passes over it."),
    "nul-bytes": (
        "error",
        (
            "NUL bytes stand where text was, as after a power loss. Every reader passes over the line; what was "
            "written there is lost."
        ),
    ),
    "nul-tail": (
        "warning",
        (
            "The rollout ends in NUL bytes, as after a power loss. Every reader passes over them, and the next "
            "append begins a new line; what was written there and not flushed is lost."
        ),
    ),
    "torn-tail": (
        "warning",
        (
            "The last line has no newline and is no whole record: its writer was stopped. It is not part of the "
            "history, and the next append begins a new line."
        ),
    ),
    "being-written": ("info", "The last line has no newline yet: the writer that holds the thread is at work on it."),
    "missing-newline": (
        "info",
        "The last record is whole but for its newline. It counts, and the next append puts the newline in.",
    ),
    "cut-short": (
        "warning",
        (
            "The line is the beginning of a record: its writer was stopped in the middle of it, and whoever wrote next "
            "began a new line. It was acknowledged to nobody; every reader passes over it, its bytes stay."
        ),
    ),
    "not-json": ("error", "The line is no JSON. Every reader passes over it; its bytes stay."),
    "invalid-utf8": (
        "error",
        (
            "The line is not UTF-8. Every reader passes over it; its bytes stay. Codex cannot read a legacy thread "
            "at all that holds such a line."
        ),
    ),
    "lone-surrogate": (
        "error",
        (
            "A text in the line escapes half a character (a lone surrogate). Every reader passes over the line; its "
            "bytes stay."
        ),
    ),
    "too-deep": (
        "error",
        (
            "The line nests arrays and objects so deeply that it cannot be read. Every reader passes over it; its "
            "bytes stay."
        ),
    ),
    "deep-nesting": (
        "info",
        "The record nests more than 127 arrays and objects. threadkeep reads it, Codex does not count it.",
    ),
    "big-integer": (
        "info",
        ("The record holds an integer beyond 64 bits. threadkeep keeps it as it is, Codex does not count the record."),
    ),
    "oversized": ("error", "The line is longer than a record may be. Every reader steps over it; its bytes stay."),
}

_RECORDS: Final[dict[DamageKind, tuple[Severity, str]]] = {
    "no-envelope": (
        "error",
        (
            "The line is JSON but no record: its timestamp, type or payload is missing or of the wrong kind. Codex "
            "passes over it; its bytes stay."
        ),
    ),
    "before-envelope": (
        "info",
        (
            "The rollout begins with a line from before records had envelopes (mid-2025). threadkeep reads such "
            "lines, today's Codex does not."
        ),
    ),
    "unknown-type": (
        "info",
        (
            "A record of a type that history does not use: a newer program's, or one that is no longer kept. Its "
            "bytes stay, every reader passes over it."
        ),
    ),
    "misfit": (
        "warning",
        "A record of a known type whose payload does not fit its schema. No reader counts it; its bytes stay.",
    ),
    "ordinal-missing": (
        "warning",
        ("A record of a paginated rollout has no ordinal. Codex's turn lists leave it out; the model context has it."),
    ),
    "last-ordinal-missing": (
        "error",
        "The last record of a paginated rollout has no ordinal. Codex cannot resume the thread, threadkeep can.",
    ),
    "ordinal-duplicate": (
        "warning",
        (
            "A record has the ordinal of the record before it. Codex's turn lists leave it out; the model context "
            "has it."
        ),
    ),
    "ordinal-back": (
        "warning",
        ("A record's ordinal is lower than one before it. Codex's turn lists leave it out; the model context has it."),
    ),
    "ordinal-gap": (
        "warning",
        "Ordinals are passed over: records that were written may be missing. Every reader goes on.",
    ),
    "ordinal-start": (
        "warning",
        (
            "The first ordinal of a paginated rollout is not the one that its history base says (0 without a base). "
            "Codex's turn lists leave out records that are numbered lower than the base."
        ),
    ),
    "ordinal-too-big": (
        "warning",
        "An ordinal is beyond what Codex can store. Its turn lists show nothing of the rollout; threadkeep's do.",
    ),
    "ordinal-in-legacy": ("info", "A record of a legacy rollout has an ordinal. No reader looks at it."),
    "timestamp-unreadable": ("info", "A record's timestamp is no RFC 3339 time. The record counts, without a time."),
    "timestamp-back": (
        "info",
        (
            "A record says that it was written more than a minute before the one that precedes it: a clock was set "
            "back. Order follows the rollout, not the clock."
        ),
    ),
    "turn-without-end": (
        "info",
        ("A turn starts, and the next one starts or the rollout ends before it has ended. It is shown as interrupted."),
    ),
    "turn-without-start": (
        "info",
        (
            "A turn ends that starts nowhere before in the rollout. A paginated rollout lists it by its end alone; "
            "in a legacy one a completion ends the turn that is open."
        ),
    ),
    "call-without-output": (
        "info",
        ("A tool call has no output after it, as when its program was killed. The model is told that it was aborted."),
    ),
}

DAMAGE_KINDS: Final[Mapping[DamageKind, tuple[Severity, str]]] = MappingProxyType(_BEGINNING | _BYTES | _RECORDS)
"""For every kind its severity and its meaning, in the order of the documentation."""
