"""Homes of two servers with the same thread: used before, and put back after every run.

A server keeps absolute paths, so that a run happens in the home in which the server was before. What a run changed is
put back from a copy; the rollout, which servers only append to, is cut to what it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.bench._home import BenchHome

__all__ = ["ServerHome", "clean_environment"]

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


class _Seen(NamedTuple):
    """A file as it was when the home was kept."""

    size: int
    mtime_ns: int
    inode: int


class ServerHome:
    """The home of one server, with a copy of a generated thread.

    Args:
        folder: Where it lies, with the copy of what it was; made new.
        home: The generated thread.
    """

    def __init__(self, folder: str, home: BenchHome) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.path = os.path.join(folder, "home")
        self.cwd = os.path.join(folder, "project")
        self.errors = os.path.join(folder, "stderr.txt")
        self.thread_id = home.thread_id
        self._location = home.location
        self._kept = os.path.join(folder, "kept")
        self._state: dict[str, _Seen] = {}
        rollout = os.path.join(self.path, home.location)
        os.makedirs(os.path.dirname(rollout))
        os.makedirs(self.cwd)
        # A link would do, but for servers that append to what they resume, each to its own.
        shutil.copyfile(home.rollout, rollout)
        with open(os.path.join(self.path, "config.toml"), "w", encoding="utf-8") as file:
            file.write(_CONFIG)

    def keep(self) -> None:
        """Remember the home as it is: :meth:`put_back` comes back to this."""
        shutil.rmtree(self._kept, ignore_errors=True)
        self._state = self._look()
        for name in self._state:
            if name != self._location:
                target = os.path.join(self._kept, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(os.path.join(self.path, name), target)

    def put_back(self) -> None:
        """Undo what was done since: remove what is new, put back what was changed or removed."""
        now = self._look()
        for name in now.keys() - self._state.keys():
            os.unlink(os.path.join(self.path, name))
        for name, seen in self._state.items():
            path = os.path.join(self.path, name)
            if now.get(name) == seen:
                continue
            if name == self._location:
                os.truncate(path, seen.size)
            else:
                shutil.copyfile(os.path.join(self._kept, name), path)
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
