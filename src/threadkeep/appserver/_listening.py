"""Where the server listens: what ``--listen`` names, and the sockets for it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import stat
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_SOCKET", "Address", "listening", "parse"]

DEFAULT_SOCKET: Final = ("threadkeep", "app-server.sock")
"""The socket of ``unix://`` in the home."""

_WAITING: Final = 128
"""Connections that may wait to be accepted."""

_PROBE: Final = 2.0
"""Seconds for which a socket file is asked whether a server listens on it."""


class Address(NamedTuple):
    """Where to listen.

    Attributes:
        kind: The transport.
        host: The IP address, of ``ws``.
        port: The port, of ``ws``; 0 for any.
        path: The socket file, absolute, of ``unix``.
    """

    kind: Literal["stdio", "ws", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""


def parse(url: str, home: str) -> Address:
    """The address that a ``--listen`` names.

    Args:
        url: ``stdio://``, ``ws://IP:PORT``, ``unix://PATH`` or ``unix://``.
        home: The home folder, for ``unix://``.

    Raises:
        ValueError: It names none.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "stdio" and separator and not rest:
        return Address("stdio")
    if scheme == "unix" and separator:
        return Address("unix", path=os.path.abspath(rest) if rest else os.path.join(home, *DEFAULT_SOCKET))
    if scheme == "ws" and separator:
        host, _, port = rest.rpartition(":")
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
            if (address.version == 6) == host.startswith("[") and port.isdecimal() and int(port) < 2**16:
                return Address("ws", host=str(address), port=int(port))
        raise ValueError(f"{url} has no IP address and port: ws://IP:PORT")
    raise ValueError(f"{url} is none of stdio://, ws://IP:PORT, unix://PATH and unix://")


@contextlib.contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """A socket that listens on a ``ws`` or ``unix`` address; a socket file is removed at the end.

    Raises:
        OSError: The address cannot be had: it is in use, or is not this machine's.
    """
    if address.kind == "ws":
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.create_server((address.host, address.port), family=family, backlog=_WAITING) as made:
            # Connections inherit it; asyncio does it only for sockets that were made by naming the protocol. Without it
            # an answer behind a notification waits for the client's acknowledgement: 40 ms.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield made
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        _bind(made, address.path)
        bound = os.lstat(address.path)
        try:
            made.listen(_WAITING)
            yield made
        finally:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(address.path), bound):
                    os.unlink(address.path)


def _bind(made: socket.socket, path: str) -> None:
    """Make the socket file, for its owner alone from the first moment on."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    _make_way(path)
    mask = os.umask(0o177)
    try:
        made.bind(path)
    except OSError as error:
        too_long = error.errno is None  # Python's own check
        reason = "the path of a socket may not be as long as that" if too_long else error.strerror
        raise OSError(error.errno or errno.ENAMETOOLONG, reason, path) from error
    finally:
        os.umask(mask)


def _make_way(path: str) -> None:
    """Remove a socket that a server left behind, or Codex's link to one.

    Raises:
        OSError: A server listens on it, or the file is something else.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) and not stat.S_ISLNK(found.st_mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "a server listens on it", path)
