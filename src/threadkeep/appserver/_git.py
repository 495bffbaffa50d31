"""What a folder's git repository says of it, read from its files: no program is started."""

from __future__ import annotations

import os
import re
from typing import Final

from threadkeep.appserver._regular_files import read_regular

__all__ = ["git_facts", "repository_folder"]

_MOST: Final = 16 * 1024 * 1024
"""Bytes that one of git's files may have to be read."""

_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def git_facts(cwd: str) -> dict[str, str] | None:
    """``commit_hash``, ``branch`` and ``repository_url`` of the repository of a folder, as far as they are known.

    None outside of a repository, and where its files cannot be read.
    """
    folder = _git_folder(cwd)
    if folder is None:
        return None
    head = _read(os.path.join(folder, "HEAD")).strip()
    common = folder
    pointer = _read(os.path.join(folder, "commondir")).strip()
    if pointer:
        common = os.path.normpath(os.path.join(folder, pointer))
    facts: dict[str, str] = {}
    if head.startswith("ref: "):
        ref = head[5:].strip()
        commit = _commit(folder, common, ref)
        if ref.startswith("refs/heads/"):
            facts["branch"] = ref.removeprefix("refs/heads/")
    else:
        commit = head
    if _SHA.fullmatch(commit):
        facts["commit_hash"] = commit
    origin = _origin(_read(os.path.join(common, "config")))
    if origin:
        facts["repository_url"] = origin
    return facts or None


def _origin(config: str) -> str:
    """The first URL of the remote ``origin``; empty where there is none."""
    within = False
    for line in config.splitlines():
        said = line.strip()
        if said.startswith("["):
            within = said == '[remote "origin"]'
        name, equals, value = said.partition("=")
        if within and equals and name.rstrip() == "url" and value.strip():
            return value.strip()
    return ""


def repository_folder(cwd: str) -> str | None:
    """The folder of the repository that a folder is in; None where it is in none."""
    folder = cwd
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _git_folder(cwd: str) -> str | None:
    """Where git keeps what it knows of a folder's repository."""
    folder = repository_folder(os.path.abspath(cwd))
    if folder is None:
        return None
    git = os.path.join(folder, ".git")
    if os.path.isdir(git):
        return git
    said = _read(git).strip()  # a worktree or a submodule: a file that says where
    return os.path.normpath(os.path.join(folder, said[8:])) if said.startswith("gitdir: ") else None


def _commit(folder: str, common: str, ref: str) -> str:
    if ".." in ref.split("/") or ref.startswith("/"):
        return ""
    for place in (folder, common):
        said = _read(os.path.join(place, ref)).strip()
        if said:
            return said
    for line in _read(os.path.join(common, "packed-refs")).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return ""


def _read(path: str) -> str:
    try:
        return read_regular(path, _MOST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
