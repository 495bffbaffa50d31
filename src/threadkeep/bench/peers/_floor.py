"""The floor: what the disk and a JSON decoder take, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["Floor"]

_BLOCK: Final = 1 << 20
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class _Pointer(msgspec.Struct):
    """A fork: the beginning of another file."""

    file: str
    end: int


class Floor:
    """A file of lines."""

    durable = "fdatasync"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._path = os.path.join(folder, "thread.jsonl")
        self._fd = -1
        self._forks = 0
        self._middle = 0

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        with open(self._path, "wb") as file:
            for number in range(turns):
                if number == turns // 2:
                    self._middle = file.tell()
                file.writelines(_lines(made_turn(number)))
            file.flush()
            os.fdatasync(file.fileno())
        self.open()
        return ""

    def open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)

    def close(self) -> None:
        os.close(self._fd)

    def append(self, turn: Turn) -> None:
        os.write(self._fd, b"".join(_lines(turn)))
        os.fdatasync(self._fd)

    def append_each(self, turn: Turn) -> None:
        for line in _lines(turn):
            os.write(self._fd, line)
            os.fdatasync(self._fd)

    def resume(self, fork: str | None = None) -> list[Any]:
        path, end = self._path, None
        if fork is not None:
            with open(fork, "rb") as file:
                pointer = msgspec.json.decode(file.read(), type=_Pointer)
            path, end = os.path.join(self._folder, pointer.file), pointer.end
        with open(path, "rb") as file:
            return [_decode(line) for line in file.read(end).splitlines()]

    def last_turns(self, count: int) -> list[Any]:
        wanted, start, data = count * MESSAGES, os.fstat(self._fd).st_size, b""
        while start > 0 and data.count(b"\n") <= wanted:
            size = min(_BLOCK, start)
            start -= size
            data = os.pread(self._fd, size, start) + data
        return [_decode(line) for line in data.splitlines()[-wanted:]]

    def fork_head(self) -> str:
        return self._fork(os.fstat(self._fd).st_size)

    def fork_middle(self) -> str:
        return self._fork(self._middle)

    def _fork(self, end: int) -> str:
        self._forks += 1
        path = os.path.join(self._folder, f"fork-{self._forks}.json")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, _encode(_Pointer(os.path.basename(self._path), end)))
            os.fsync(fd)
        finally:
            os.close(fd)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path

    def seen(self, answer: list[Any]) -> list[str]:
        return [line["arguments"]["path"] if line["role"] == "call" else line["text"] for line in answer]


def _lines(turn: Turn) -> list[bytes]:
    messages = (
        {"role": "user", "text": turn.question},
        {"role": "call", "id": turn.call_id, "tool": TOOL, "arguments": {"path": turn.path}},
        {"role": "output", "id": turn.call_id, "text": turn.output},
        {"role": "assistant", "text": turn.answer},
    )
    return [_encode(message) + b"\n" for message in messages]
