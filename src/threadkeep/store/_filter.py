"""Which threads a list shows."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from threadkeep.store._models import Thread

__all__ = ["INTERACTIVE", "ThreadFilter", "source_names"]

INTERACTIVE: Final = frozenset({"cli", "vscode", "custom:atlas", "custom:chatgpt"})
"""The sources of threads that a person began: those that the app-server lists where nobody names others."""

_APP_SERVER: Final = {"mcp": "appServer"}
_AGENTS: Final = {"review": "subAgentReview", "compact": "subAgentCompact", "thread_spawn": "subAgentThreadSpawn"}


class ThreadFilter(msgspec.Struct, frozen=True):
    """Which threads a list shows; each member that is given must hold.

    Attributes:
        archived: Archived ones (True), the others (False), or both (None).
        cwd: Those that work in this folder, or in one of these; links are followed.
        model_providers: Those of one of these providers.
        sources: Those that were begun so: any of their names, as `source_names` gives them.
        originators: Those that one of these clients began.
        text: Those whose name or preview contains this, case ignored.
        exact_text: Those whose name or preview contains this as it stands.
        forked_from: Those that were forked from this thread.
        parent: Those that this thread spawned.
        ancestor: Those that this thread spawned, or one of those that it spawned, and so on.
        excluded: None of these.
        spoken: Only those in which a user said something, so that there is a preview.
    """

    archived: bool | None = False
    cwd: str | frozenset[str] | None = None
    model_providers: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    originators: frozenset[str] | None = None
    text: str | None = None
    exact_text: str | None = None
    forked_from: str | None = None
    parent: str | None = None
    ancestor: str | None = None
    excluded: frozenset[str] = frozenset()
    spoken: bool = False

    def keeps(self, thread: Thread) -> bool:
        """Whether a thread is shown, its archive state and its ancestors aside."""
        return (
            _one_of(thread.model_provider, self.model_providers)
            and _one_of(thread.originator, self.originators)
            and (self.sources is None or _begun_by(thread.source, self.sources))
            and (self.forked_from is None or thread.forked_from_id == self.forked_from)
            and (self.parent is None or thread.parent_thread_id == self.parent)
            and thread.id not in self.excluded
            and (thread.preview != "" or not self.spoken)
            and self._says(thread)
            and (self.cwd is None or _works_in(thread.cwd, self.cwd))
        )

    def _says(self, thread: Thread) -> bool:
        name, preview = thread.name or "", thread.preview
        if self.exact_text is not None and self.exact_text not in name and self.exact_text not in preview:
            return False
        wanted = self.text.casefold() if self.text is not None else ""
        return wanted in name.casefold() or wanted in preview.casefold()


def _one_of(value: str | None, wanted: frozenset[str] | None) -> bool:
    return wanted is None or value in wanted


def _begun_by(source: Any, wanted: frozenset[str]) -> bool:
    """Whether a thread was begun so. One whose first record is damaged says nothing: it is not left out for that."""
    return not wanted.isdisjoint(source_names(source)) or (source is None and wanted == INTERACTIVE)


def _works_in(cwd: str | None, wanted: str | frozenset[str]) -> bool:
    folders = frozenset({wanted}) if isinstance(wanted, str) else wanted
    return cwd is not None and (cwd in folders or _real(cwd) in _resolved(folders))


@functools.lru_cache(maxsize=16)  # asked again for every thread of a list
def _resolved(folders: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_real, folders))


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a null byte: no folder is called so, whatever a rollout or a caller says
        return path


def source_names(source: Any) -> frozenset[str]:
    """Every name that a filter may call a thread's source by.

    The word that the rollout has (``cli``, ``vscode``, ``exec``, ``mcp``), for an object the name of its member
    (``subagent``, ``custom``), also with the word in it (``custom:atlas``); and what the app-server's protocol calls it
    (``ThreadSourceKind``: ``appServer``, ``subAgent``, ``subAgentReview``, ``subAgentCompact``,
    ``subAgentThreadSpawn``, ``subAgentOther``, ``unknown``).
    """
    if isinstance(source, str):
        return frozenset({source, _APP_SERVER.get(source, source)})
    if not isinstance(source, dict) or not source:
        return frozenset({"unknown"})
    kind, value = next(iter(source.items()))
    names = {str(kind)}
    word = value if isinstance(value, str) else next(iter(value), "") if isinstance(value, dict) else ""
    if word:
        names.add(f"{kind}:{word}")
    if kind == "subagent":
        names |= {"subAgent", _AGENTS.get(str(word), "subAgentOther")}
    return frozenset(names)
