"""What the agent did to the machine: commands that ran, files that changed."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from threadkeep.replay.items._paths import FileUri, file_uri
from threadkeep.replay.items._schema import I32, Duration, Json, camel_words, milliseconds
from threadkeep.replay.items._shell import shell_command

__all__ = ["CommandExecution", "FileChange"]

Source: TypeAlias = Literal["agent", "user_shell", "unified_exec_startup", "unified_exec_interaction"]
Status: TypeAlias = Literal["in_progress", "completed", "failed", "declined"]

_SOURCES: Final = camel_words(Source)
_STATUSES: Final = camel_words(Status)


class Read(msgspec.Struct, tag="read"):
    """The command reads a file."""

    cmd: str
    name: str
    path: str

    def shown(self, folder: FileUri) -> Json | None:
        """As the server shows it: the path as seen from the working folder; None where it can be none."""
        path = folder.below(self.path)
        return None if path is None else {"type": "read", "command": self.cmd, "name": self.name, "path": path}


class ListFiles(msgspec.Struct, tag="list_files"):
    """The command lists files."""

    cmd: str
    path: str | None = None

    def shown(self, _: FileUri) -> Json:
        """As the server shows it: the path as written."""
        return {"type": "listFiles", "command": self.cmd, "path": self.path}


class Search(msgspec.Struct, tag="search"):
    """The command searches in files."""

    cmd: str
    query: str | None = None
    path: str | None = None

    def shown(self, _: FileUri) -> Json:
        """As the server shows it: the path as written."""
        return {"type": "search", "command": self.cmd, "query": self.query, "path": self.path}


class Unknown(msgspec.Struct, tag="unknown"):
    """The command does something else."""

    cmd: str

    def shown(self, _: FileUri) -> Json:
        """As the server shows it."""
        return {"type": "unknown", "command": self.cmd}


class CommandExecution(msgspec.Struct, tag=True):
    """A command that ran. What was typed into it is not shown."""

    id: str
    command: list[str]
    cwd: str
    parsed_cmd: list[Read | ListFiles | Search | Unknown]
    source: Source
    status: Status
    plugin_id: str | None = None
    script_path: str | None = None
    process_id: str | None = None
    interaction_input: str | None = None
    aggregated_output: str | None = None
    exit_code: I32 | None = None
    duration: Duration | None = None

    def shown(self) -> Json:
        """As the server shows it: an empty output as none."""
        folder = file_uri(self.cwd)
        actions = [part.shown(folder) for part in self.parsed_cmd]
        return {
            "type": "commandExecution",
            "id": self.id,
            "pluginId": self.plugin_id,
            "scriptPath": self.script_path,
            "command": shell_command(self.command),
            "cwd": folder.native,
            "processId": self.process_id,
            "source": _SOURCES[self.source],
            "status": _STATUSES[self.status],
            "commandActions": [action for action in actions if action is not None],
            "aggregatedOutput": self.aggregated_output or None,
            "exitCode": self.exit_code,
            "durationMs": milliseconds(self.duration),
        }


class Added(msgspec.Struct, tag="add"):
    """A new file."""

    content: str

    def shown(self, path: str) -> Json:
        """As the server shows it: the content for a diff."""
        return {"path": path, "kind": {"type": "add"}, "diff": self.content}


class Deleted(msgspec.Struct, tag="delete"):
    """A file that is gone."""

    content: str

    def shown(self, path: str) -> Json:
        """As the server shows it: the content for a diff."""
        return {"path": path, "kind": {"type": "delete"}, "diff": self.content}


class Updated(msgspec.Struct, tag="update"):
    """A file whose content or place changed."""

    unified_diff: str
    move_path: str | None = None

    def shown(self, path: str) -> Json:
        """As the server shows it: ``move_path`` keeps its snake case, and the diff ends with it."""
        moved = "" if self.move_path is None else f"\n\nMoved to: {self.move_path}"
        return {
            "path": path,
            "kind": {"type": "update", "move_path": self.move_path},
            "diff": self.unified_diff + moved,
        }


class FileChange(msgspec.Struct, tag=True):
    """Files that changed. What the tool printed, and whether it was approved by itself, is not shown."""

    id: str
    changes: dict[str, Added | Deleted | Updated]
    status: Literal["completed", "failed", "declined"] | None = None
    stdout: str | None = None
    stderr: str | None = None
    auto_approved: bool | None = None

    def shown(self) -> Json:
        """As the server shows it: sorted by path; without a status the change is in progress."""
        changes = _one_per_file(self.changes)
        return {
            "type": "fileChange",
            "id": self.id,
            "changes": [changes[path].shown(path) for path in sorted(changes)],
            "status": self.status or "inProgress",
        }


def _one_per_file(changes: dict[str, Added | Deleted | Updated]) -> dict[str, Added | Deleted | Updated]:
    """The changes, one for each file: of two spellings of one path the first one, with the change that came last."""
    spellings: dict[tuple[str, ...], str] = {}
    return {spellings.setdefault(_components(path), path): change for path, change in changes.items()}


def _components(path: str) -> tuple[str, ...]:
    """What two spellings of one path have in common: a first ``.`` counts, later ones and empty names do not."""
    first, *names = path.split("/")
    root = "/" if not first and names else first
    return (root, *[name for name in names if name not in {"", "."}])
