"""The git facts of a folder are read from git's own files."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from threadkeep.appserver._git import git_facts

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *settings, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("x")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "remote", "add", "origin", "https://example.org/a.git")
    return folder


def test_branch_commit_and_origin(repository: Path) -> None:
    (repository / "sub").mkdir()
    expected = {
        "branch": "main",
        "commit_hash": git(repository, "rev-parse", "HEAD"),
        "repository_url": "https://example.org/a.git",
    }
    assert git_facts(str(repository)) == expected
    assert git_facts(str(repository / "sub")) == expected


def test_packed_refs_worktrees_and_detached_heads(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "pack-refs", "--all")
    assert (git_facts(str(repository)) or {})["commit_hash"] == commit
    other = repository.parent / "other"
    git(repository, "worktree", "add", "--quiet", "-b", "side/branch", str(other))
    facts = git_facts(str(other))
    assert facts == {"branch": "side/branch", "commit_hash": commit, "repository_url": "https://example.org/a.git"}
    git(other, "checkout", "--quiet", "--detach")
    assert git_facts(str(other)) == {"commit_hash": commit, "repository_url": "https://example.org/a.git"}


def test_no_repository_and_nonsense_are_no_facts(tmp_path: Path) -> None:
    assert git_facts(str(tmp_path / "nowhere")) is None
    (tmp_path / ".git").write_text("nonsense")
    assert git_facts(str(tmp_path)) is None


def test_a_head_never_leads_out_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a" * 40)
    (tmp_path / "r" / ".git").mkdir(parents=True)
    (tmp_path / "r" / ".git" / "HEAD").write_text("ref: ../../secret\n")
    assert "commit_hash" not in (git_facts(str(tmp_path / "r")) or {})


@pytest.mark.parametrize("name", ["HEAD", "config", "packed-refs", "commondir", ""])
def test_a_pipe_in_the_place_of_one_of_git_s_files_is_not_waited_for(repository: Path, name: str) -> None:
    git(repository, "pack-refs", "--all")
    path = repository / ".git" / name
    path.rename(repository / "away") if path.exists() else None
    os.mkfifo(path)
    known = git_facts(str(repository)) or {}
    assert {"HEAD": "commit_hash", "config": "repository_url", "packed-refs": "commit_hash"}.get(name) not in known


def test_a_file_of_git_s_that_is_too_large_says_nothing(repository: Path) -> None:
    with open(repository / ".git" / "config", "ab") as file:
        file.truncate(1 << 30)
    assert set(git_facts(str(repository)) or {}) == {"branch", "commit_hash"}


def test_a_branch_whose_name_is_no_path_has_no_commit(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/\0\n")
    assert "commit_hash" not in (git_facts(str(repository)) or {})
