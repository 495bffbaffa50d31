"""A command is shown as one line that a shell reads back as the same words."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import thread_items

from threadkeep.replay.items._shell import NUL_COMMAND, shell_command, shell_word

AWKWARD = "ab '\"\\$`!^*?~#=%,\n\t\u00e9]/."


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("", "''"),
        ("a/b.c:d@e]f+g-h_i", "a/b.c:d@e]f+g-h_i"),
        ("two words", "'two words'"),
        ("x=1", "'x=1'"),
        ("caf\u00e9", "'caf\u00e9'"),
        ("it's", '"it\'s"'),
        ('say "it\'s"', '"say \\"it\'s\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("^x", "'^x'"),
        ("a^b", "a'^b'"),
        ("it's $x", "\"it's \"'$x'"),
        ("'$'", "\"'\"'$'\"'\""),
    ],
)
def test_a_word_is_quoted_no_more_than_it_needs(word: str, shown: str) -> None:
    assert shell_word(word) == shown


@given(st.text(AWKWARD, max_size=30))
def test_a_word_is_quoted_as_the_oracle_quotes_it(word: str) -> None:
    assert shell_word(word) == thread_items.shell_word(word)


@given(st.lists(st.text(AWKWARD, max_size=10)))
def test_a_shell_reads_the_words_back(words: list[str]) -> None:
    assert shlex.split(shell_command(words)) == words


def test_a_real_shell_reads_every_character_back() -> None:
    word = "".join(map(chr, range(1, 0x100)))
    answer = subprocess.run(
        ["/bin/sh", "-c", f"printf %s {shell_word(word)}"], check=True, capture_output=True, timeout=60
    )
    assert answer.stdout.decode() == word


def test_a_long_script_costs_no_more_than_its_length() -> None:
    script = 'echo "it\'s $HOME"\n' * 20_000
    assert shlex.split(shell_command(["sh", "-c", script])) == ["sh", "-c", script]


def test_a_command_with_a_nul_is_named_and_not_shown() -> None:
    assert shell_command(["printf", "a\0b"]) == NUL_COMMAND
    assert shell_command([]) == ""
