"""What waits for a client is bounded, keeps its order, and is let go with a reason."""

from __future__ import annotations

import threading

import pytest

from threadkeep.appserver._outbox import HIGH_WATER, ClientGone, Outbox


def whole(outbox: Outbox) -> bytes:
    """The next whole message."""
    pieces = []
    while (taken := outbox.take(60)) is not None:
        pieces.append(taken[0])
        if taken[1]:
            return b"".join(pieces)
    raise AssertionError("no message")


def test_messages_leave_in_the_order_in_which_they_were_put() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(b"%d" % number)
    assert [whole(outbox) for _ in range(100)] == [b"%d" % number for number in range(100)]


def test_a_streamed_answer_keeps_its_place_and_others_wait_behind_it() -> None:
    outbox = Outbox()
    outbox.put(b"before")
    stream = outbox.stream()
    outbox.put(b"after")
    assert whole(outbox) == b"before"
    assert outbox.try_take() is None  # nothing of the stream is there yet, and nothing passes it
    stream.write(b"one ")
    stream.write(b"two")
    stream.end()
    assert whole(outbox) == b"one two"
    assert whole(outbox) == b"after"


def test_an_empty_stream_is_an_empty_message() -> None:
    outbox = Outbox()
    outbox.stream().end()
    assert outbox.try_take() == (b"", True)


def test_whoever_makes_a_stream_waits_for_the_client() -> None:
    outbox = Outbox()
    stream = outbox.stream()
    piece = bytes(256 * 1024)
    written: list[int] = []

    def write() -> None:
        for number in range(40):
            stream.write(piece)
            written.append(number)
        stream.end()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    seen = 0
    while True:
        assert outbox.waiting <= HIGH_WATER + len(piece)
        taken = outbox.take(60)
        assert taken is not None
        seen += len(taken[0])
        assert len(written) * len(piece) <= seen + HIGH_WATER + len(piece)
        if taken[1]:
            break
    writer.join(60)
    assert seen == 40 * len(piece)
    assert outbox.waiting == 0


def test_a_client_that_leaves_too_many_messages_is_let_go_with_a_reason() -> None:
    reasons: list[str] = []
    outbox = Outbox(most_waiting=1000)
    outbox.on_close = reasons.append
    outbox.put(bytes(600))
    assert reasons == []
    outbox.put(bytes(600))
    assert len(reasons) == 1
    assert "1000 bytes" in reasons[0]
    assert outbox.closed == reasons[0]
    assert outbox.take(0) is None
    outbox.put(b"dropped")
    assert outbox.waiting == 0


def test_a_stream_gives_up_on_a_client_that_takes_nothing() -> None:
    outbox = Outbox(patience=0.05)
    stream = outbox.stream()
    stream.write(bytes(HIGH_WATER))
    with pytest.raises(ClientGone, match="took nothing"):
        stream.write(b"x")
    assert outbox.closed is not None


def test_a_stream_learns_that_the_client_left() -> None:
    outbox = Outbox()
    stream = outbox.stream()
    stream.write(bytes(HIGH_WATER))
    failed: list[BaseException] = []

    def write() -> None:
        try:
            stream.write(b"x")
        except ClientGone as error:
            failed.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    outbox.close("the client left")
    writer.join(60)
    assert len(failed) == 1
    with pytest.raises(ClientGone):
        stream.write(b"y")


def test_ready_is_told_for_each_piece_and_for_the_end() -> None:
    outbox = Outbox()
    told: list[str] = []
    outbox.on_ready = lambda: told.append("ready")
    outbox.put(b"x")
    stream = outbox.stream()
    stream.write(b"y")
    stream.end()
    outbox.close("over")
    assert len(told) == 4


def test_drained_waits_until_everything_was_taken() -> None:
    outbox = Outbox()
    assert outbox.drained(0)
    outbox.put(b"x")
    assert not outbox.drained(0)
    threading.Timer(0.05, outbox.try_take).start()
    assert outbox.drained(60)
