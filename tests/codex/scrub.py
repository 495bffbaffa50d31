r"""Takes other people's text out of rollouts and answers, and leaves everything else as it was.

What Codex writes holds text of its maker: instructions, permissions, the sentence before a summary. A fixture keeps the
structure, the key order, the types, the ids and the times, and replaces such text by a short neutral one. The rule is
the safe way round: a text is kept when it is *known* to be ours (a prompt, an answer of the mock, the output of a
command that we ran) or is too short to be a text; all else is replaced. Inside known text, the paths of this machine
become :data:`HOME` and its folders.

* A text inside tags keeps the tags: ``<environment_context>\nSCRUBBED\n</environment_context>``.
* A summary keeps what the mock said: ``SUMMARY-PREFIX\nmock summary 1``. Such a file cannot test how a summary is
  recognised by its true first sentence; tests with the live binary do.
* Scrubbing a second time changes nothing.

:func:`scrub_home` does a whole Codex home: it proves that decoding and encoding a line gives its bytes again, and it
moves the ``end_byte_offset`` of every history base to the same record boundary of the scrubbed ancestor.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

JsonObject = dict[str, Any]
"""One JSON object."""

SCRUBBED: Final = "SCRUBBED"
"""What stands for a text that was taken out."""

BASE_INSTRUCTIONS: Final = "BASE-INSTRUCTIONS"
"""What stands for the base instructions that a rollout carries, so that they can be told from a reader's own."""

SUMMARY_PREFIX: Final = "SUMMARY-PREFIX"
"""What stands for the sentence that Codex puts before a summary."""

HOME: Final = "/home/me"
"""What stands for the folder that a scenario ran in."""

_TEXT_WORDS: Final = 4
"""A string of fewer words is a name, a status, a number or a path: never a text."""

_SUMMARY: Final = re.compile(r"(?s).+\n(mock summary \d+)\s*")
_TAG: Final = re.compile(r"(?s)\s*<(?P<name>[A-Za-z_][\w-]*)(?P<rest>[^<>]*)>")
_AGENTS: Final = re.compile(r"(?s)(# AGENTS\.md instructions[^\n]*\n\s*)(<INSTRUCTIONS>.*</INSTRUCTIONS>\s*)")
_OUTPUT: Final = re.compile(r"(?s)(?:Chunk ID|Exit code|Wall time): .*?\nOutput:\n(.*)")
_HIDDEN_KEYS: Final = frozenset({"instructions", "user_instructions", "developer_instructions"})
"""Members whose text is always replaced, however short (a hash of instructions is none: see :func:`_is_hash`)."""

_SPOKEN_KEYS: Final = frozenset({"message", "text", "last_agent_message"})
"""Members that hold what somebody said: kept only when it is ours, however short."""


class ScrubError(Exception):
    """A rollout cannot be scrubbed without changing more than its texts."""


@dataclass
class Scrubber:
    """What is ours, and how paths are renamed."""

    paths: list[tuple[str, str]]
    """Path of this machine and what stands for it, in the order in which they are tried."""
    ours: set[str] = field(default_factory=set)
    """Texts that are kept."""

    def add_ours(self, texts: Iterable[str]) -> None:
        """Keep these texts from now on."""
        self.ours.update(self._rename(text).strip() for text in texts)

    def value(self, value: object, key: str = "") -> Any:
        """A copy of ``value``, the member ``key`` of something, with every text scrubbed."""
        if isinstance(value, dict):
            copy = {self.text(name): self.value(member, name) for name, member in value.items()}
            if key == "base_instructions" and copy.get("text"):
                copy["text"] = BASE_INSTRUCTIONS
            return copy
        if isinstance(value, list):
            return [self.value(member, key) for member in value]
        if isinstance(value, str):
            if key in _HIDDEN_KEYS and value and not _is_hash(value):
                return SCRUBBED
            return self.text(value, spoken=key in _SPOKEN_KEYS)
        return value

    def text(self, text: str, *, spoken: bool = False) -> str:
        """``text`` without what is not ours; ``spoken`` says that even a few words are a text."""
        text = self._rename(text)
        if text.strip() in self.ours or len(text.split()) < (1 if spoken else _TEXT_WORDS):
            return text
        if summary := _SUMMARY.fullmatch(text):
            return f"{SUMMARY_PREFIX}\n{summary[1]}"
        if agents := _AGENTS.fullmatch(text):
            return agents[1] + self._tagged(agents[2])
        if _TAG.match(text) and text.rstrip().endswith(">"):
            return self._tagged(text)
        if output := _OUTPUT.fullmatch(text):
            return self.text(output[1])
        if text.startswith(("{", "[")):
            return self._embedded(text)
        return SCRUBBED

    def _rename(self, text: str) -> str:
        """``text`` with the paths of this machine renamed."""
        for path, name in self.paths:
            text = text.replace(path, name)
        return text

    def _tagged(self, text: str) -> str:
        """``text``, which starts with a tag, with the inside of each outermost element replaced."""
        out = ""
        rest = text
        while (opening := _TAG.match(rest)) is not None:
            # One of its markers is written with two words, at its end too: </permissions instructions>.
            closing = re.compile(rf"</{re.escape(opening['name'])}( [^<>]*)?>").search(rest, opening.end())
            if closing is None:
                return out + SCRUBBED
            newline = "\n" if rest[opening.end() : closing.start()].startswith("\n") else ""
            out += opening[0] + newline + SCRUBBED + newline + closing[0]
            rest = rest[closing.end() :]
        return out + (rest if not rest.strip() else SCRUBBED)

    def _embedded(self, text: str) -> str:
        """A string that holds JSON (the output of a tool, arguments of a call), scrubbed inside."""
        try:
            value = json.loads(text)
        except ValueError:
            return SCRUBBED
        return encode(self.value(value)).decode()


def _is_hash(text: str) -> bool:
    """Whether ``text`` is a hexadecimal digest."""
    return re.fullmatch(r"[0-9a-f]{32,64}", text) is not None


def encode(value: object) -> bytes:
    """JSON as Codex writes it: no spaces, non-ASCII as it is (storage.md 2.1)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def decode_line(line: bytes, where: str) -> JsonObject:
    """The record on ``line``. Raises :class:`ScrubError` unless encoding it gives the same bytes again."""
    record = json.loads(line)
    if not isinstance(record, dict) or encode(record) + b"\n" != line:
        message = f"{where}: encoding the record again does not give its bytes: {line[:200]!r}"
        raise ScrubError(message)
    return record


def rollout_files(home: Path) -> list[Path]:
    """The rollouts of a Codex home, active ones first, each group in the order of the names."""
    found = []
    for folder in ("sessions", "archived_sessions"):
        found += sorted((home / folder).rglob("rollout-*.jsonl"), key=lambda path: path.name)
    return found


def rollout_id(path: Path) -> str:
    """The rollout id in a file name: what stands after ``_``, else the thread id (storage.md 1.1)."""
    return path.stem[len("rollout-2026-01-01T00-00-00-") :].rpartition("_")[2]


def thread_id(path: Path) -> str:
    """The thread id in a file name (storage.md 1.1)."""
    return path.stem[len("rollout-2026-01-01T00-00-00-") :].partition("_")[0]


def scrub_home(home: Path, out: Path, scrubber: Scrubber) -> None:
    """Write the scrubbed rollouts and name index of the Codex home ``home`` to ``out``, in the same layout.

    Raises :class:`ScrubError` when a line does not survive decoding and encoding, or a history base does not end at
    the end of a record of a rollout in ``home``.
    """
    paths = {rollout_id(path): path for path in rollout_files(home)}
    boundaries: dict[str, dict[int, int]] = {}

    def scrub(rollout: str) -> None:
        """Scrub one rollout after the one that it is based on (chains here are a few rollouts long)."""
        if rollout in boundaries:
            return
        path = paths[rollout]
        lines = path.read_bytes().splitlines(keepends=True)
        moved = {0: 0}
        old = 0
        data = b""
        for number, line in enumerate(lines, 1):
            record = scrubber.value(decode_line(line, f"{path.name}:{number}"))
            base = record.get("payload", {}).get("history_base") if record.get("type") == "session_meta" else None
            if base is not None:
                scrub(base["thread_id"])
                try:
                    base["end_byte_offset"] = boundaries[base["thread_id"]][base["end_byte_offset"]]
                except KeyError as error:
                    message = f"{path.name}:{number}: the history base does not end at the end of a record"
                    raise ScrubError(message) from error
            if scrubber.value(record) != record:
                message = f"{path.name}:{number}: scrubbing it a second time changes it again"
                raise ScrubError(message)
            data += encode(record) + b"\n"
            old += len(line)
            moved[old] = len(data)
        boundaries[rollout] = moved
        target = out / path.relative_to(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    for rollout in paths:
        scrub(rollout)
    index = home / "session_index.jsonl"
    if index.exists():
        lines = index.read_bytes().splitlines(keepends=True)
        records = [scrubber.value(decode_line(line, f"{index.name}:{number}")) for number, line in enumerate(lines, 1)]
        (out / index.name).write_bytes(b"".join(encode(record) + b"\n" for record in records))
