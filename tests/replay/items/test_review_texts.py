"""A review is shown as one text: what the reviewer thinks, then what was found, each at its place."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support import dump

from threadkeep.replay.items import EMPTY_REVIEW, thread_item


def finding(title: str, body: str) -> dict[str, Any]:
    place = {"absolute_file_path": "/w/a.py", "line_range": {"start": 3, "end": 5}}
    return {"title": title, "body": body, "confidence_score": 0.5, "priority": 1, "code_location": place}


def review(explanation: str, *findings: dict[str, Any]) -> str:
    output = {
        "findings": list(findings),
        "overall_correctness": "correct",
        "overall_explanation": explanation,
        "overall_confidence_score": 1,
    }
    item = thread_item(dump({"type": "ExitedReviewMode", "id": "r", "review_output": output}))
    assert item is not None
    text: str = item["review"]
    return text


def test_one_finding_stands_below_the_explanation() -> None:
    assert review(" All good. \n", finding("Off by one", "First.\nSecond.\n")) == (
        "All good.\n\nReview comment:\n\n- Off by one \u2014 /w/a.py:3-5\n  First.\n  Second."
    )


def test_findings_stand_apart_from_each_other() -> None:
    assert review("", finding("A", "a"), finding("B", "")) == (
        "Full review comments:\n\n- A \u2014 /w/a.py:3-5\n  a\n\n- B \u2014 /w/a.py:3-5"
    )


def test_lines_end_where_a_text_file_ends_them() -> None:
    shown = review("", finding("A", "a\r\n\r\nb\rc\u2028d\n\ne\r"))
    assert shown.split(":3-5", 1)[1] == "\n  a\n  \n  b\rc\u2028d\n  \n  e"


def test_white_space_around_the_explanation_goes_and_nothing_else() -> None:
    assert review("\u3000\x85 \x1c said \x1d\t") == "\x1c said \x1d"


@pytest.mark.parametrize("item", [{}, {"review_output": None}])
def test_a_review_without_output_says_so(item: dict[str, Any]) -> None:
    shown = thread_item(dump({"type": "ExitedReviewMode", "id": "r", **item}))
    assert shown is not None
    assert shown["review"] == EMPTY_REVIEW


def test_a_review_without_a_word_says_so() -> None:
    assert review(" \n ") == EMPTY_REVIEW
