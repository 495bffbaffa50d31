"""Rollouts as bytes: plain files, compressed files, files that change or end while they are read."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import tempfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import LINE, append, compressed, opened, put, rollout_id

from threadkeep.backends.local import Files, _source
from threadkeep.backends.local._source import FileSource, TailCache, ZstdSource, decode_stream
from threadkeep.errors import CorruptHistory, StorageFailure, ThreadNotFound
from threadkeep.records import Cost, lines_backward

if TYPE_CHECKING:
    from pathlib import Path


def plain(path: Path, cost: Cost | None = None, files: Files | None = None) -> FileSource:
    return FileSource(files or Files(), str(path), "r", cost or Cost())


def packed(path: Path, tails: TailCache | None = None, cost: Cost | None = None) -> ZstdSource:
    return ZstdSource(Files(), str(path), "r", cost or Cost(), tails or TailCache())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- plain files -----------------------------------------------------------------------------------------------------


def test_a_file_is_read_in_as_many_calls_as_the_system_needs(tmp_path: Path) -> None:
    class Slow(Files):
        def pread(self, fd: int, size: int, offset: int) -> bytes:
            return super().pread(fd, min(size, 1_000), offset)

    data = os.urandom(10_000)
    (tmp_path / "r").write_bytes(data)
    source = plain(tmp_path / "r", files=Slow())
    assert source.read(123, 9_000) == data[123:9_123]
    source.close()


@pytest.mark.parametrize("size", [0, 10])
def test_a_file_that_is_cut_while_it_is_read_says_where_it_ends(tmp_path: Path, size: int) -> None:
    (tmp_path / "r").write_bytes(LINE * 100)
    source = plain(tmp_path / "r")
    os.truncate(tmp_path / "r", size)
    with pytest.raises(CorruptHistory, match="cut") as failure:
        source.read(0, 100)
    assert (failure.value.offset, failure.value.path) == (size, str(tmp_path / "r"))
    source.close()


def test_a_file_that_is_replaced_while_its_reader_rests_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(LINE * 2)
    source = plain(tmp_path / "r")
    source.rest()
    (tmp_path / "new").write_bytes(LINE * 2)
    os.rename(tmp_path / "new", tmp_path / "r")
    with pytest.raises(CorruptHistory, match="replaced"):
        source.read(0, 8)
    source.close()


def test_a_file_that_is_replaced_while_it_is_open_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"old\n")
    source = plain(tmp_path / "r")
    (tmp_path / "new").write_bytes(b"new\n")
    os.rename(tmp_path / "new", tmp_path / "r")
    assert source.read(0, 4) == b"old\n"
    source.close()


def test_a_file_that_is_gone_while_its_reader_rests_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(LINE)
    source = plain(tmp_path / "r")
    source.rest()
    os.unlink(tmp_path / "r")
    with pytest.raises(CorruptHistory, match="gone"):
        source.read(0, 8)
    source.close()


def test_a_disk_that_cannot_be_read_is_no_damage_of_the_thread(tmp_path: Path) -> None:
    class Broken(Files):
        def pread(self, fd: int, size: int, offset: int) -> bytes:
            raise OSError(5, "Input/output error")

    (tmp_path / "r").write_bytes(LINE)
    source = plain(tmp_path / "r", files=Broken())
    with pytest.raises(StorageFailure, match="Input/output"):
        source.read(0, 8)
    source.close()


def test_a_reader_that_rests_holds_no_descriptor(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(LINE)
    before = descriptors()
    sources = [plain(tmp_path / "r") for _ in range(50)]
    assert descriptors() == before + 50
    for source in sources:
        source.rest()
    assert descriptors() == before
    assert [source.read(0, 8) for source in sources] == [LINE] * 50
    for source in sources:
        source.close()
    assert descriptors() == before
    with pytest.raises(ValueError, match="closed"):
        sources[0].read(0, 8)


def test_a_record_of_100_mb_is_read_from_the_end_in_bounded_memory(tmp_path: Path) -> None:
    record = b'{"text":"' + b"x" * 100_000_000 + b'"}\n'
    (tmp_path / "r").write_bytes(LINE + record + LINE)
    cost = Cost()
    source = plain(tmp_path / "r", cost)
    tracemalloc.start()
    lines = lines_backward(source, source.size)
    assert next(lines) == (len(LINE) + len(record), LINE[:-1])
    offset, line = next(lines)
    assert (offset, line == record[:-1]) == (len(LINE), True)
    del line
    assert next(lines) == (0, LINE[:-1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()
    assert peak < 230_000_000, "twice the record while its pieces are joined, and a block"
    assert cost.bytes_read <= source.size + 8 * 1024 * 1024


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_plain_file_is_no_rollout(tmp_path: Path, kind: str) -> None:
    """A pipe would keep its reader waiting, a link may lead out of the home."""
    home = tmp_path / "home"
    path = put(home)
    data = path.read_bytes()
    backend = opened(home)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "secret").write_bytes(data)
        path.symlink_to(tmp_path / "secret")
    else:
        path.mkdir()
    with pytest.raises(StorageFailure):
        backend.open(ref, Cost())
    lease = backend.lease(ref.thread_id)
    with pytest.raises(StorageFailure):
        backend.appender(ref, lease, Cost(), durability="fsync")
    lease.release()
    backend.close()
    fresh = opened(home)
    assert fresh.rollouts_of(ref.thread_id) == []
    assert list(fresh.stats()) == []
    assert fresh.find(ref.rollout_id) is None
    fresh.close()
    if kind == "link":
        assert (tmp_path / "secret").read_bytes() == data


# --- compressed files ------------------------------------------------------------------------------------------------


def numbered(count: int) -> bytes:
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (number, os.urandom(50).hex().encode()) for number in range(count))


def test_a_compressed_file_is_read_at_decoded_offsets(tmp_path: Path) -> None:
    data = numbered(1_000)
    (tmp_path / "r").write_bytes(compressed(data))
    cost = Cost()
    source = packed(tmp_path / "r", cost=cost)
    assert source.size == len(data)
    for offset, size in ((0, 10), (50_000, 1_234), (len(data) - 5, 5), (0, len(data))):
        assert source.read(offset, size) == data[offset : offset + size]
    with pytest.raises(CorruptHistory):
        source.read(len(data) - 5, 6)
    with pytest.raises(CorruptHistory):
        source.read(-1, 1)
    source.close()
    source.close()
    assert len(cost.full_scans) == 1


def test_a_compressed_file_is_decoded_once_for_all_who_read_its_tail(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(compressed(LINE * 100))
    tails = TailCache()
    costs = [Cost() for _ in range(3)]
    for cost in costs:
        source = packed(tmp_path / "r", tails, cost)
        assert source.read(0, 8) == LINE
        source.close()
    assert [len(cost.full_scans) for cost in costs] == [1, 0, 0]


def test_a_compressed_file_that_was_replaced_is_decoded_again(tmp_path: Path) -> None:
    tails = TailCache()
    (tmp_path / "r").write_bytes(compressed(b"old\n"))
    packed(tmp_path / "r", tails).close()
    (tmp_path / "new").write_bytes(compressed(b"new\n"))
    os.rename(tmp_path / "new", tmp_path / "r")
    source = packed(tmp_path / "r", tails)
    assert source.read(0, 4) == b"new\n"
    source.close()


def test_of_a_few_compressed_files_the_tails_are_kept(tmp_path: Path) -> None:
    tails = TailCache()
    for number in range(_source.CACHED_TAILS + 1):
        (tmp_path / str(number)).write_bytes(compressed(LINE))
        packed(tmp_path / str(number), tails).close()
    costs = {number: Cost() for number in (0, _source.CACHED_TAILS)}
    for number in reversed(costs):
        packed(tmp_path / str(number), tails, costs[number]).close()
    assert costs[0].full_scans
    assert not costs[_source.CACHED_TAILS].full_scans


def test_what_lies_before_the_tail_is_decoded_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "TAIL_BYTES", 10_000)
    data = numbered(3_000)
    (tmp_path / "r").write_bytes(compressed(data))
    cost = Cost()
    source = packed(tmp_path / "r", cost=cost)
    assert source.read(len(data) - 9_000, 9_000) == data[-9_000:]
    assert len(cost.full_scans) == 1
    for offset in (0, 77_777, len(data) - 10_001):
        assert source.read(offset, 10) == data[offset : offset + 10]
    assert len(cost.full_scans) == 2
    source.close()


def test_decoding_needs_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(compressed(LINE * 16_000_000))  # 128 MB in a few kilobytes
    tracemalloc.start()
    source = packed(tmp_path / "r")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.size == 128_000_000
    assert source.read(source.size - 8, 8) == LINE
    assert peak < 4 * _source.TAIL_BYTES
    source.close()


def test_several_frames_are_one_rollout(tmp_path: Path) -> None:
    parts = [numbered(10), b"", numbered(2_000), LINE]
    (tmp_path / "r").write_bytes(b"".join(compressed(part) for part in parts))
    source = packed(tmp_path / "r")
    assert source.read(0, source.size) == b"".join(parts)
    source.close()


@pytest.mark.parametrize("left", [0, 1, 4, 20, -1])
def test_a_frame_that_ends_too_early_is_an_error(tmp_path: Path, left: int) -> None:
    (tmp_path / "r").write_bytes(compressed(numbered(2_000))[:left])
    before = descriptors()
    with pytest.raises(CorruptHistory) as failure:
        packed(tmp_path / "r")
    assert failure.value.path == str(tmp_path / "r")
    assert descriptors() == before


@pytest.mark.parametrize("data", [LINE, b"\0" * 100, compressed(LINE) + b"what is this"])
def test_what_is_no_zstd_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r").write_bytes(data)
    with pytest.raises(CorruptHistory, match=r"damaged|middle of a frame"):
        packed(tmp_path / "r")


def test_a_frame_that_was_damaged_after_its_tail_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "TAIL_BYTES", 1_000)
    path = tmp_path / "r"
    path.write_bytes(compressed(numbered(2_000)))
    tails = TailCache()
    packed(path, tails).close()
    facts = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)  # a frame without a checksum shows no single flipped bit
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with contextlib.closing(packed(path, tails)) as source:
        before = descriptors()
        with pytest.raises(CorruptHistory):
            source.read(0, source.size - 2_000)
        assert descriptors() == before


def test_no_room_to_decode_is_a_failure_of_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "TAIL_BYTES", 1_000)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "r+b", buffering=0))  # noqa: SIM115
    (tmp_path / "r").write_bytes(compressed(numbered(2_000)))
    source = packed(tmp_path / "r")
    with pytest.raises(StorageFailure, match="No space left"):
        source.read(0, 8)
    source.close()


class Small(Files):
    """A disk with room for a hundred kilobytes."""

    def free(self, path: str) -> int:
        return 100_000


def test_a_small_file_that_holds_more_than_the_disk_does_not_fill_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where it is decoded to be read nor where it is unpacked to be written to."""
    monkeypatch.setattr(_source, "TAIL_BYTES", 1_000)
    home = tmp_path / "home"
    path = put(home, numbered(10_000), pack=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    backend = opened(home, Small())
    (ref,) = backend.rollouts_of(rollout_id(path))
    before = descriptors()
    with contextlib.closing(backend.open(ref, Cost())) as source:
        assert source.size > 90_000
        with pytest.raises(StorageFailure, match="nine tenths") as failure:
            source.read(0, 8)
        assert (failure.value.rollout, failure.value.path) == (ref.rollout_id, str(path))
    with pytest.raises(StorageFailure, match="nine tenths") as failure:
        append(backend, ref, LINE)
    assert failure.value.path == str(path)
    assert descriptors() == before
    backend.close()
    assert os.listdir(path.parent) == [path.name]


def test_a_disk_that_fills_while_a_rollout_is_unpacked_keeps_no_half_of_it(tmp_path: Path) -> None:
    class Full(Files):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            if len(data) > 1_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(fd, data)

    home = tmp_path / "home"
    path = put(home, numbered(10_000), pack=True)
    backend = opened(home, Full())
    (ref,) = backend.rollouts_of(rollout_id(path))
    with pytest.raises(StorageFailure, match="No space left") as failure:
        append(backend, ref, LINE)
    assert failure.value.path == str(path)
    assert os.listdir(path.parent) == [path.name]
    backend.close()


def test_a_compressed_rollout_above_the_bound_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _source.MOST_DECODED == 64 * 1024**3
    monkeypatch.setattr(_source, "MOST_DECODED", 5_000_000)
    within, above = (put(tmp_path / "home", b"x" * size, pack=True) for size in (5_000_000, 5_000_001))
    backend = opened(tmp_path / "home")
    (ref,) = backend.rollouts_of(rollout_id(within))
    with contextlib.closing(backend.open(ref, Cost())) as source:
        assert source.size == 5_000_000
    (ref,) = backend.rollouts_of(rollout_id(above))
    with pytest.raises(StorageFailure, match="5,000,000 decoded bytes") as failure:
        backend.open(ref, Cost())
    assert (failure.value.rollout, failure.value.path) == (ref.rollout_id, str(above))
    backend.close()


def test_decoding_gives_pieces_of_a_megabyte_at_most(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(compressed(b"x" * 5_000_000))
    fd = os.open(tmp_path / "r", os.O_RDONLY)
    sizes = [len(piece) for piece in decode_stream(Files(), fd, "r")]
    os.close(fd)
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 1 << 20


def test_the_plain_form_wins_over_the_compressed_one(tmp_path: Path) -> None:
    """Also over one that was seen before it was unpacked."""
    home = tmp_path / "home"
    path = put(home, b"old\n", pack=True)
    backend = opened(home)
    thread = rollout_id(path)
    found = backend.find(thread)
    assert found is not None
    assert found.compressed
    assert backend.rollouts_of(thread) == [found]
    path.with_suffix("").write_bytes(b"new\n")
    for ref in (backend.find(thread), *backend.rollouts_of(thread), *(ref for ref, _ in backend.stats())):
        assert ref is not None
        assert (ref.compressed, ref.location) == (False, found.location.removesuffix(".zst"))
    backend.close()


def test_a_rollout_that_was_compressed_since_it_was_seen_is_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home)
    backend = opened(home)
    assert backend.find(rollout_id(path)) is not None
    path.with_name(path.name + ".zst").write_bytes(compressed(LINE))
    path.unlink()
    ref = backend.find(rollout_id(path))
    assert ref is not None
    assert ref.compressed
    backend.close()


def test_a_deep_lineage_needs_few_descriptors(tmp_path: Path) -> None:
    """As many as a process may have by default are far fewer than forks may be deep."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [put(tmp_path / "home") for _ in range(50)]
    backend = opened(tmp_path / "home")
    before = descriptors()
    sources = []
    for path in paths:
        ref = backend.find(rollout_id(path))
        assert ref is not None
        sources.append(backend.open(ref, Cost()))
        sources[-1].read(0, 8)
        sources[-1].rest()
    assert descriptors() <= before + 4 < soft
    for source in sources:
        source.close()
    backend.close()


def test_a_missing_file_is_a_missing_thread(tmp_path: Path) -> None:
    path = put(tmp_path / "home")
    backend = opened(tmp_path / "home")
    ref = backend.find(rollout_id(path))
    assert ref is not None
    path.unlink()
    with pytest.raises(ThreadNotFound, match="gone"):
        backend.open(ref, Cost())
    with pytest.raises(ThreadNotFound, match="gone"):
        backend.stat(ref)
    backend.close()
