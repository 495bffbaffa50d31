"""Patches: where a call holds one, and the files that it changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.replay.items._call_paths import path_in
from threadkeep.replay.items._commands import Added, Deleted, Updated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.replay.items._schema import Json

__all__ = ["Patch", "file_changes", "patch_in_argv", "patch_in_script", "script_in_argv"]

_NAMES: Final = frozenset({"apply_patch", "applypatch"})
_SHELL: Final = re.compile(r"(?:.*[/\\])?(?:bash|zsh|sh|pwsh|powershell)(?:\.exe)?", re.IGNORECASE)
_RUN: Final = frozenset({"-c", "-lc", "-Command", "-command"})
_HERE: Final = re.compile(
    r"""\s*(?:cd\s+(?:'(?P<single>[^'\n]+)'|"(?P<double>[^"\n]+)"|(?P<bare>[^\s'";&|]+))\s*&&\s*)?"""
    r"""(?:apply_patch|applypatch)\s*<<-?[ \t]*(?P<quote>['"]?)(?P<word>[A-Za-z_][A-Za-z_0-9]*)(?P=quote)[ \t]*\r?\n"""
)
_SECTION: Final = re.compile(r"\*\*\* (?P<kind>Add|Delete|Update) File: (?P<path>.+)")
_BEGIN: Final = "*** Begin Patch"
_END: Final = "*** End Patch"
_MOVE: Final = "*** Move to: "
_END_OF_FILE: Final = "*** End of File"


class Patch(msgspec.Struct, frozen=True):
    """A patch.

    Attributes:
        text: The patch, from its first line to its last.
        folder: The folder that the command changes to before it applies the patch, as written.
    """

    text: str
    folder: str | None = None


class _Section(msgspec.Struct):
    kind: str
    path: str
    move_path: str | None = None
    lines: list[str] = []


def script_in_argv(argv: Sequence[str]) -> str | None:
    """The script, where ``argv`` is a shell that runs one."""
    if len(argv) == 3 and argv[1] in _RUN and len(argv[0]) < 4096 and _SHELL.fullmatch(argv[0]):
        return argv[2]
    return None


def patch_in_argv(argv: Sequence[str]) -> Patch | None:
    """The patch, where ``argv`` applies one and does nothing else."""
    if len(argv) == 2 and argv[0] in _NAMES:
        return Patch(argv[1])
    script = script_in_argv(argv)
    return None if script is None else patch_in_script(script)


def patch_in_script(script: str) -> Patch | None:
    """The patch, where a script applies one as a here-document and does nothing else."""
    start = _HERE.match(script)
    if start is None:
        return None
    word = start["word"]
    end = script.find(f"\n{word}", start.end() - 1)
    while end >= 0:
        rest = end + 1 + len(word)
        if rest == len(script) or script[rest] in "\r\n":
            if script[rest:].strip():
                return None
            return Patch(script[start.end() : end + 1], start["single"] or start["double"] or start["bare"])
        end = script.find(f"\n{word}", rest)
    return None


def file_changes(patch: Patch, folder: str | None) -> list[Json] | None:
    r"""The ``changes`` of a ``fileChange`` item, sorted by path; None for a text that is no patch.

    ``folder`` is where the call ran. A patch says less than the item of a live call: what a deleted file held is not
    in it (the diff is empty), and the hunks of an update are shown as they stand in it, without line numbers.
    """
    if patch.folder is not None:
        folder = path_in(folder, patch.folder)
    sections = _sections(patch.text)
    if sections is None:
        return None
    changes: dict[str, Json] = {}
    for section in sections:
        change = _change(section, folder)
        changes[change["path"]] = change
    return [changes[path] for path in sorted(changes)]


def _sections(text: str) -> list[_Section] | None:
    lines = text.strip().split("\n")
    if lines[0].startswith("<<"):  # a here-document that reached the tool unread
        del lines[0]
    if not lines or lines[0].strip() != _BEGIN:
        return None
    sections: list[_Section] = []
    for line in lines[1:]:
        marker = line.rstrip() if line.startswith("***") else ""
        if marker == _END:
            break
        header = _SECTION.fullmatch(marker)
        if header is not None:
            sections.append(_Section(header["kind"], header["path"], lines=[]))
        elif sections and marker.startswith(_MOVE):
            sections[-1].move_path = marker.removeprefix(_MOVE)
        elif sections and marker != _END_OF_FILE:
            sections[-1].lines.append(line)
    return sections


def _change(section: _Section, folder: str | None) -> Json:
    path = path_in(folder, section.path)
    if section.kind == "Add":
        return Added("".join([f"{line[1:]}\n" for line in section.lines if line.startswith("+")])).shown(path)
    if section.kind == "Delete":
        return Deleted("").shown(path)
    moved = None if section.move_path is None else path_in(folder, section.move_path)
    return Updated("".join([f"{line}\n" for line in section.lines]), moved).shown(path)
