r"""Folders and files as items name them: ``file:`` URIs and paths in, the paths that a person reads out.

A URI is read as a browser reads it, and may name a folder of another system than this one: ``/home/me``, ``C:\me`` or
``\\host\share\me`` (0.169.0 observed). Left out where nobody writes it: host names beyond letters, digits, ``._-`` and
IPv6, ``C|`` for ``C:``, the paths of devices (``\\?\``, ``\\.\``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.replay.items._schema import UndecodableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FileUri", "absolute_path", "file_uri"]

_NO_PATH: Final = re.compile(r"[?#\0]|%00")
_HOST: Final = re.compile(r"[a-z0-9._-]*|\[[0-9a-f:]+\]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_DRIVE_NAME: Final = re.compile(r"[A-Za-z](?::|%3[Aa])")
_SHARE: Final = re.compile(r"\\\\([^\\]+)\\([^\\]+)(\\.*)?", re.DOTALL)
_DOT: Final = re.compile(r"%2[Ee]")
_ENCODED: Final = str.maketrans({"%": "%25", "\t": "", "\n": "", "\r": ""})
_BREAKS: Final = re.compile(r"[\t\n\r]")
_EDGES: Final = "".join(map(chr, range(0x21)))

_LONGEST_KEPT: Final = 4096
"""A longer URI is read anew every time, so that what is kept is bounded in bytes as well."""


class FileUri(NamedTuple):
    """What a ``file:`` URI names.

    Attributes:
        host: The host in lower case; empty for this machine.
        names: The names of the path, still percent-encoded; an empty last one stands for a slash at the end.
        native: The path in the way of the system that it looks like.
    """

    host: str
    names: tuple[str, ...]
    native: str

    def below(self, path: str) -> str | None:
        """The native path of ``path`` as a command that ran in this folder meant it; None where it can be none."""
        if "\0" in path:
            return None
        if not path:
            return self.native
        if self.host or _has_drive(self.names):
            return self._below_windows(path.replace("/", "\\"))
        if path.startswith("/"):
            return absolute_path(_BREAKS.sub("", path), keep_slash=True)
        return _native("", _walk(self.names, path.split("/")))

    def _below_windows(self, path: str) -> str | None:
        if _DRIVE.match(path):
            drive, rest = path[:2], path[2:]
            if rest.startswith("\\"):
                return _windows("", [drive], rest)
            if self.host or self.names[0][0].lower() != drive[0].lower():
                return None
            return _native("", _walk(self.names, rest.split("\\"), keep=1))
        share = _SHARE.fullmatch(path)
        if share:
            host, name, rest = share.groups(default="")
            return _windows(host.lower(), _walk((), [name]), rest)
        rooted = path.startswith("\\") and not path.startswith("\\\\")
        names = [name for name in self.names[:1] if name] if rooted else self.names
        return _native(self.host, _walk(names, path.split("\\"), keep=1))


def _has_drive(names: Sequence[str]) -> bool:
    return bool(names) and _DRIVE_NAME.fullmatch(names[0]) is not None


def _native(host: str, encoded: Sequence[str]) -> str:
    names = [_unquoted(name) if "%" in name else name for name in encoded]
    if host:
        return "\\\\" + "\\".join([host, *names]) if any(names) else f"file://{host}/"
    if _has_drive(encoded):
        return names[0][0].upper() + ":\\" + "\\".join(names[1:])
    return "/" + "/".join(names)


def _windows(host: str, root: Sequence[str], rest: str) -> str:
    """The native path of ``rest`` below a drive or a share, a backslash at its end kept."""
    names = _walk(root, rest.split("\\"), keep=1)
    return _native(host, (*names, "") if rest.endswith("\\") else names)


def _walk(start: Sequence[str], path: Iterable[str], keep: int = 0) -> tuple[str, ...]:
    """The encoded names of ``path``, plain names, seen from ``start``, encoded ones; the first ``keep`` always stay.

    An empty name inside ``start`` (``/a//b``) is not one that ``..`` may count on.
    """
    names = list(start[:-1] if start and not start[-1] else start)
    depth = sum(map(bool, names))
    for name in path:
        if name == "..":
            if depth > keep:
                names.pop()
                depth -= 1
        elif name not in {"", "."}:
            names.append(name.translate(_ENCODED))
            depth += 1
    return tuple(names)


def absolute_path(path: str, *, keep_slash: bool = False) -> str:
    """An absolute POSIX path without ``.``, ``..`` and empty names, and without a slash at its end unless it is kept.

    Raises:
        UndecodableError: The path is relative.
    """
    if not path.startswith("/"):
        raise UndecodableError(f"not an absolute path: {path!r}")
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del names[-1:]
        elif name not in {"", "."}:
            names.append(name)
    return "/" + "/".join(names) + ("/" if keep_slash and names and path.endswith("/") else "")


def file_uri(text: str) -> FileUri:
    """What a ``file:`` URI names. The newest ones are remembered: a thread's commands share a few folders.

    Raises:
        UndecodableError: A plain path, another scheme, a port, a user, a query, a fragment or a NUL.
    """
    return _remembered(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def _parse(text: str) -> FileUri:
    uri = _BREAKS.sub("", text.strip(_EDGES)).replace("\\", "/")
    if uri[:5].lower() != "file:" or _NO_PATH.search(uri):
        raise UndecodableError(f"not a file URI: {text[:80]!r}")
    host, path = "", uri[5:]
    if path.startswith("//"):
        host, _, rest = path[2:].partition("/")
        host, path = ("", f"{host}/{rest}") if _DRIVE.fullmatch(host) else (host.lower(), rest)
        if not _HOST.fullmatch(host):
            raise UndecodableError(f"not a file URI: {text[:80]!r}")
    names: list[str] = []
    ends_in_dots = False
    for part in path.lstrip("/").split("/"):
        dots = _DOT.sub(".", part)
        ends_in_dots = dots in {".", ".."}
        if not ends_in_dots:
            names.append(part)
        elif dots == ".." and names and not _DRIVE.fullmatch(names[-1]):
            names.pop()
    host = "" if host == "localhost" else host
    encoded = (*names, "") if ends_in_dots else tuple(names)
    return FileUri(host, encoded, _native(host, encoded))


_remembered: Final = lru_cache(maxsize=64)(_parse)


def _unquoted(name: str) -> str:
    from urllib.parse import unquote

    return unquote(name, errors="replace")
