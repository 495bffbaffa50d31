r"""A working folder is shown in the way of the system that it is on, and what was read in it as seen from there."""

from __future__ import annotations

import pytest

from threadkeep.replay.items._paths import absolute_path, file_uri
from threadkeep.replay.items._schema import UndecodableError


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///home/me", "/home/me"),
        ("file:///home/me/", "/home/me/"),
        ("file:///", "/"),
        ("file:///a%20b/%C3%A9", "/a b/\u00e9"),
        ("file:///a b/\u00e9", "/a b/\u00e9"),
        ("file:///%ff%zz%", "/\ufffd%zz%"),
        ("file:///a/./b/../c/%2e%2E/d", "/a/d"),
        ("file:///a/..", "/"),
        ("file:////a///b", "/a///b"),
        ("FILE:/a", "/a"),
        ("file:a", "/a"),
        (" file:///a\tb\n ", "/ab"),
        ("file://localhost/a", "/a"),
        ("file:///c:/w", "C:\\w"),
        ("file:///C%3A/w/", "C:\\w\\"),
        ("file://d:/w", "D:\\w"),
        ("file:///C:/..", "C:\\"),
        ("file:///a/C:/../b", "/a/C:/b"),
        ("file:///%43:/a", "/C:/a"),
        ("file://Host/share/a", "\\\\host\\share\\a"),
        ("file:\\\\host\\share", "\\\\host\\share"),
        ("file://host/", "file://host/"),
    ],
)
def test_a_uri_is_shown_as_a_path(uri: str, path: str) -> None:
    assert file_uri(uri).native == path


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/home/me",
        "https://host/a",
        "file:///a?",
        "file:///a#b",
        "file:///a%00",
        "file:///a\0b",
        "file://me@host/a",
        "file://host:80/a",
    ],
)
def test_what_is_no_file_uri_is_refused(uri: str) -> None:
    with pytest.raises(UndecodableError):
        file_uri(uri)


@pytest.mark.parametrize(
    ("folder", "path", "seen"),
    [
        ("file:///w", "a/b", "/w/a/b"),
        ("file:///w/", "../../a", "/a"),
        ("file:///w", "./a//b/", "/w/a/b"),
        ("file:///w", "100%41", "/w/100%41"),
        ("file:///w", "/a/../b//c/", "/b/c/"),
        ("file:///w", "..\\a", "/w/..\\a"),
        ("file:///w", "c:/a", "/w/c:/a"),
        ("file:///w", "", "/w"),
        ("file:///w", "a\0b", None),
        ("file:///C:/w", "a/b\\..\\c", "C:\\w\\a\\c"),
        ("file:///C:/w", "..\\..\\a", "C:\\a"),
        ("file:///C:/w", "\\a\\", "C:\\a"),
        ("file:///C:/w", "d:\\a\\", "D:\\a\\"),
        ("file:///C:/w", "c:a", "C:\\w\\a"),
        ("file:///C:/w", "d:a", None),
        ("file:///C:/w", "\\\\Host\\share%41\\a", "\\\\host\\share%41\\a"),
        ("file:///C:/w", "\\\\host\\share\\..\\..\\a", "\\\\host\\share\\a"),
        ("file://host/share/w", "..\\..\\a", "\\\\host\\share\\a"),
        ("file://host/share/w", "/a", "\\\\host\\share\\a"),
        ("file://host/share", "d:a", None),
    ],
)
def test_a_path_is_seen_from_the_working_folder(folder: str, path: str, seen: str | None) -> None:
    assert file_uri(folder).below(path) == seen


def test_an_absolute_path_loses_its_detours() -> None:
    assert absolute_path("//a/./b/../../../c/") == "/c"
    assert absolute_path("//a/./b/", keep_slash=True) == "/a/b/"
    assert absolute_path("/./", keep_slash=True) == "/"
    with pytest.raises(UndecodableError):
        absolute_path("a")


def test_a_folder_with_a_very_long_name_is_read_like_any_other_and_not_kept() -> None:
    file_uri("file:///kept")
    assert file_uri("file:///kept") is file_uri("file:///kept")
    name = "n" * 10_000
    assert file_uri(f"file:///{name}") is not file_uri(f"file:///{name}")
    assert file_uri(f"file:///{name}/..").native == "/"
    assert file_uri(f"file:///{name}").below("a") == f"/{name}/a"
