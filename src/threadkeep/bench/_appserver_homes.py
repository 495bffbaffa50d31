"""Homes of servers with the same threads: used before, and put back after every run.

A server keeps absolute paths, so that a run happens in the home in which the server was before. What a run changed is
put back: every file is again, byte for byte, what it was, as in a fresh copy of the home. A rollout that was appended
to is cut to what it was; everything else that was changed comes from a copy.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from threadkeep.bench._copy import copy_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ServerHome", "Template", "clean_environment"]

_BLOCK: Final = 1 << 22

_CONFIG: Final = """\
model = "gpt-5"
model_provider = "none"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[model_providers.none]
name = "none"
base_url = "http://127.0.0.1:9/v1"
wire_api = "responses"
requires_openai_auth = false
request_max_retries = 0
stream_max_retries = 0
supports_websockets = false
[analytics]
enabled = false
[feedback]
enabled = false
[otel]
exporter = "none"
[features]
plugins = false
apps = false
shell_snapshot = false
"""
"""Keeps both servers off the network; nothing that is measured calls a model."""


class Template(Protocol):
    """A home that the servers' homes are copies of."""

    @property
    def path(self) -> str:
        """Its folder."""
        ...

    @property
    def thread_id(self) -> str:
        """The thread that is measured."""
        ...

    @property
    def ancestors(self) -> Sequence[str]:
        """The threads that it inherits from, oldest first."""
        ...

    @property
    def locations(self) -> Sequence[str]:
        """Its files, below the folder: rollouts, and what belongs to them."""
        ...


class _Seen(NamedTuple):
    """A file as it was when the home was kept."""

    size: int
    mtime_ns: int
    inode: int


class ServerHome:
    """The home of a server, or of several in turn, with a copy of a template's threads.

    Args:
        folder: Where it lies, with the copy of what it was; made new.
        template: What is copied.
    """

    def __init__(self, folder: str, template: Template) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.path = os.path.join(folder, "home")
        self.cwd = os.path.join(folder, "project")
        self.errors = os.path.join(folder, "stderr.txt")
        self.thread_id = template.thread_id
        self.ancestors = template.ancestors
        self._template = template
        self._rollouts = frozenset(template.locations)
        self._kept = os.path.join(folder, "kept")
        self._state: dict[str, _Seen] = {}
        os.makedirs(self.path)
        os.makedirs(self.cwd)
        for location in template.locations:
            copy_file(os.path.join(template.path, location), os.path.join(self.path, location))
        with open(os.path.join(self.path, "config.toml"), "w", encoding="utf-8") as file:
            file.write(_CONFIG)

    def read_all(self) -> None:
        """Read every rollout: the same warm page cache for everybody."""
        for location in self._rollouts:
            with open(os.path.join(self.path, location), "rb", buffering=0) as file:
                while file.read(_BLOCK):
                    pass

    def keep(self) -> None:
        """Remember the home as it is: :meth:`put_back` comes back to this."""
        shutil.rmtree(self._kept, ignore_errors=True)
        self._state = self._look()
        for name in self._state:
            if name not in self._rollouts:
                copy_file(os.path.join(self.path, name), os.path.join(self._kept, name))

    def put_back(self) -> None:
        """Undo what was done since: remove what is new, put back what was changed or removed."""
        now = self._look()
        for name in now.keys() - self._state.keys():
            os.unlink(os.path.join(self.path, name))
        for name, seen in self._state.items():
            if now.get(name) == seen:
                continue
            path, there = os.path.join(self.path, name), now.get(name)
            if name not in self._rollouts:
                copy_file(os.path.join(self._kept, name), path)
            elif there is not None and there.inode == seen.inode and there.size >= seen.size:
                os.truncate(path, seen.size)
            else:  # not appended to, but replaced
                copy_file(os.path.join(self._template.path, name), path)
            os.utime(path, ns=(seen.mtime_ns, seen.mtime_ns))
            self._state[name] = seen._replace(inode=os.stat(path).st_ino)

    def sizes(self) -> dict[int, int]:
        """Bytes of every file by its inode: a second name for one is nothing written.

        The shared memory of SQLite is no data, and left out.
        """
        return {seen.inode: seen.size for name, seen in self._look().items() if not name.endswith("-shm")}

    def grown(self, before: Mapping[int, int]) -> int:
        """By how many bytes the files have grown that are there now, since :meth:`sizes` said ``before``."""
        return sum(max(0, size - before.get(inode, 0)) for inode, size in self.sizes().items())

    def _look(self) -> dict[str, _Seen]:
        seen = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):  # a server tidies up while it ends
                    if os.path.isfile(path) and not os.path.islink(path):
                        status = os.stat(path)
                        seen[os.path.relpath(path, self.path)] = _Seen(
                            status.st_size, status.st_mtime_ns, status.st_ino
                        )
        return seen


def clean_environment(home: str) -> dict[str, str]:
    """The environment of a server process: nothing personal of the caller's."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
    return {
        **kept,
        "HOME": home,
        "CODEX_HOME": home,
        "THREADKEEP_HOME": home,
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/sh",
        "USER": "me",
        "RUST_LOG": "error",
        "NO_COLOR": "1",
    }
