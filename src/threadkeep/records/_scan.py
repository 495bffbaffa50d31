"""Lines of a rollout, forwards and backwards, with the same positions either way.

Blocks are fetched through a `Source` rather than mapped: another process may cut a file, and a mapped file that
shrinks kills its reader (``peers.md``, "backward search").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.records._cost import Cost

__all__ = ["BLOCK_BYTES", "MAX_RECORD_BYTES", "Source", "committed_end", "lines_backward", "lines_forward"]

BLOCK_BYTES: Final = 128 * 1024
"""Bytes fetched at a time, once a scan is under way: it begins with an eighth and doubles, since many a scan wants a
record or two. It reads at most one block more than it needs."""

_LARGEST_BLOCK: Final = 8 * 1024 * 1024
"""Blocks double on up to this size while no newline is found, so that a record of 100 MB costs a few dozen fetches."""

MAX_RECORD_BYTES: Final = 512 * 1024 * 1024
"""A longer line is reported as damage and stepped over without being held in memory."""


class Source(Protocol):
    """The decoded bytes of one rollout, as far as they reached when it was opened.

    Positions are offsets into these bytes, whatever the storage did to them (compression, blocks, rows).
    """

    @property
    def rollout_id(self) -> str:
        """Id of the rollout."""
        ...

    @property
    def path(self) -> str | None:
        """Where the bytes lie, for messages; None where the backend has no files."""
        ...

    @property
    def size(self) -> int:
        """Number of decoded bytes when the source was opened; it does not grow afterwards."""
        ...

    @property
    def cost(self) -> Cost:
        """Where the bytes fetched are counted."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises:
            CorruptHistory: The bytes are not there (any more): the rollout was cut behind the reader's back.
        """
        ...

    def rest(self) -> None:
        """Let go of descriptors until the next `read`, so that a lineage of any depth needs few of them."""
        ...

    def close(self) -> None:
        """Let go of what the source holds. Reading afterwards is an error; closing twice is not."""
        ...


def lines_backward(source: Source, end: int, start: int = 0) -> Iterator[tuple[int, bytes | None]]:
    r"""The lines of ``source[start:end]``, newest first, each as (offset of its first byte, bytes without ``\n``).

    ``start`` must be the first byte of a line. An unterminated last line is a line. Memory is bounded by the longest
    line (twice, while its pieces are joined) plus one block; a line above `MAX_RECORD_BYTES` comes as None.
    """
    if end <= start:
        return
    position = end
    block = _first_block()
    pieces: list[bytes] = []  # of the line whose beginning has not been found yet, newest first
    held = 0  # bytes in pieces, counted on when they are no longer kept
    skip_newline = True  # the newline that ends the newest line separates nothing
    while position > start:
        size = min(block, position - start)
        position -= size
        data = source.read(position, size)
        high = size
        if skip_newline:
            skip_newline = False
            if data[-1] == 0x0A:
                high -= 1
        cut = data.rfind(b"\n", 0, high)
        block = _next_block(block, found=cut >= 0)
        if cut >= 0:
            if pieces or held:
                held += high - cut - 1
                pieces.append(data[cut + 1 : high])
                yield position + cut + 1, _joined(pieces, held)
                pieces, held = [], 0
            else:
                yield position + cut + 1, data[cut + 1 : high]
            high = cut
            cut = data.rfind(b"\n", 0, high)
            while cut >= 0:
                low = cut + 1
                yield position + low, data[low:high]
                high = cut
                cut = data.rfind(b"\n", 0, high)
        held += high
        if held <= MAX_RECORD_BYTES:
            pieces.append(data[:high])
        else:
            pieces = [b""]
    yield start, _joined(pieces, held)


def _joined(newest_first: list[bytes], length: int) -> bytes | None:
    """The line that the pieces make; they are let go of, or a large line would be held twice while it is read."""
    if length > MAX_RECORD_BYTES:
        return None
    line = newest_first[0] if len(newest_first) == 1 else b"".join(reversed(newest_first))
    newest_first.clear()
    return line


def lines_forward(source: Source, start: int, end: int) -> Iterator[tuple[int, bytes | None]]:
    r"""The lines of ``source[start:end]``, oldest first: the same pairs as `lines_backward`, in the other order."""
    position = start
    line_start = start
    block = _first_block()
    pieces: list[bytes] = []
    held = 0
    while position < end:
        data = source.read(position, min(block, end - position))
        low = 0
        cut = data.find(b"\n")
        block = _next_block(block, found=cut >= 0)
        while cut >= 0:
            if pieces or held:
                held += cut - low
                pieces.append(data[low:cut])
                pieces.reverse()
                yield line_start, _joined(pieces, held)
                pieces, held = [], 0
            else:
                yield line_start, data[low:cut]
            low = cut + 1
            line_start = position + low
            cut = data.find(b"\n", low)
        rest = len(data) - low
        if rest:
            held += rest
            if held <= MAX_RECORD_BYTES:
                pieces.append(data[low:] if low else data)
            else:
                pieces = [b""]
        position += len(data)
    if line_start < end:
        pieces.reverse()
        yield line_start, _joined(pieces, held)


def committed_end(source: Source) -> int:
    r"""The offset just after the last ``\n`` of the source; 0 when there is none.

    Every operation fixes its end once, here: what follows is a line that is being written, or the torn tail of one.
    """
    position = source.size
    block = _first_block()
    while position > 0:
        size = min(block, position)
        position -= size
        cut = source.read(position, size).rfind(b"\n")
        if cut >= 0:
            return position + cut + 1
        block = _next_block(block, found=False)
    return 0


def _first_block() -> int:
    return max(1, BLOCK_BYTES // 8)


def _next_block(block: int, *, found: bool) -> int:
    """How much to fetch next, after a block in which a newline was found, or none."""
    return min(block * 2, BLOCK_BYTES if found else _LARGEST_BLOCK)
