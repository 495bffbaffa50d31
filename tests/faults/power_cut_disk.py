"""A disk whose power can be cut: a file system on a loop device, and the device's bytes as they are at one moment.

The loop device works on its backing file with direct I/O, so that the file holds what the device was given and nothing
that only the page cache knows. A copy of it is what a power cut leaves, if the device was given nothing while it was
copied: its counters of writes say so, and a copy during which they moved is taken again. The writers stand still
meanwhile. What such a cut does not show is a device that was in the middle of a request, or that lies about its cache:
of these the simulation and the crash states have more than any device does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import Final, Self

__all__ = ["FILE_SYSTEMS", "Disk", "why_not"]

FILE_SYSTEMS: Final[dict[str, tuple[list[str], int, str]]] = {
    "ext4": (["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"], 128, "noinit_itable"),
    "xfs": (["mkfs.xfs", "-q", "-f"], 320, "defaults"),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 256, "defaults"),
}
"""How each is made, megabytes of its image, and how it is mounted."""

_COPIES: Final = 200
_IDLE_SECONDS: Final = 10.0


def why_not(kind: str) -> str | None:
    """Why the power of such a file system cannot be cut here; None where it can."""
    if os.geteuid() != 0:
        return "only root may mount"
    if not os.path.exists("/dev/loop-control"):
        return "the system has no loop devices"
    with open("/proc/filesystems", encoding="ascii") as known:
        if kind not in known.read().split():
            return f"the kernel has no {kind}"
    missing = [program for program in ("losetup", "mount", FILE_SYSTEMS[kind][0][0]) if shutil.which(program) is None]
    if missing:
        return f"{missing[0]} is not installed"
    probe = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"no loop device can be had: {probe.stderr.strip()}"


class Disk:
    """One file system that lives in an image; use it as a context manager.

    Args:
        folder: Where the images and the mount point lie.
        kind: ``ext4``, ``xfs`` or ``btrfs``.

    Attributes:
        place: Where it is mounted.
        retaken: Copies that were taken again, since the device was written to meanwhile.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self.kind = kind
        self.place = os.path.join(folder, kind)
        self.retaken = 0
        self._folder = folder
        self._images = 0
        self._image = self._new_image()
        self._device: str | None = None
        os.mkdir(self.place)

    def __enter__(self) -> Self:
        make, megabytes, _ = FILE_SYSTEMS[self.kind]
        with open(self._image, "wb") as image:
            image.truncate(megabytes << 20)
        try:
            _run(*make, self._image)
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.place):
            _run("umount", "--lazy", self.place)
        if self._device is not None:
            device, self._device = self._device, None
            _run("losetup", "--detach", device)
            _wait_until_detached(device)

    def copied(self) -> str:
        """A copy of the device at one moment; who writes to it must stand still."""
        assert self._device is not None
        copy = self._new_image()
        for _ in range(_COPIES):
            before = self._idle()
            _run("cp", "--sparse=always", "--reflink=never", self._image, copy)
            if self._counters() == before:
                return copy
            self.retaken += 1
        raise RuntimeError(f"{self._device} is written to all the time")

    def start_again(self, copy: str) -> None:
        """Go on with a copy, in the place of what was mounted; nobody may use that any more."""
        self.__exit__()
        os.unlink(self._image)
        self._image = copy
        self._attach()

    def _new_image(self) -> str:
        self._images += 1
        return os.path.join(self._folder, f"{self.kind}-{self._images}.img")

    def _attach(self) -> None:
        found = _run("losetup", "--find", "--show", "--direct-io=on", self._image)
        self._device = found.strip()
        with open(self._about("loop/dio"), encoding="ascii") as direct:
            if direct.read().strip() != "1":
                raise RuntimeError("the loop device does not work on its file with direct I/O")
        _run("mount", "-t", self.kind, "-o", FILE_SYSTEMS[self.kind][2], self._device, self.place)

    def _about(self, what: str) -> str:
        assert self._device is not None
        return f"/sys/block/{os.path.basename(self._device)}/{what}"

    def _counters(self) -> tuple[list[str], bool]:
        """What was written to the device so far, and whether something is under way."""
        with open(self._about("stat"), encoding="ascii") as stat:
            fields = stat.read().split()
        # Writes merged, sectors written, discards, flushes; requests in flight.
        return [*fields[4:7], *fields[11:16]], fields[8] == "0"

    def _idle(self) -> tuple[list[str], bool]:
        end = time.monotonic() + _IDLE_SECONDS
        while time.monotonic() < end:
            counters = self._counters()
            if counters[1]:
                return counters
            time.sleep(0.001)
        raise RuntimeError(f"{self._device} is never idle")


def _run(*command: str) -> str:
    # In a session of its own: whoever interrupts the trial at a terminal does not interrupt it in the middle.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, start_new_session=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _wait_until_detached(device: str) -> None:
    """A lazy unmount lets go of the device a moment later."""
    end = time.monotonic() + _IDLE_SECONDS
    while os.path.exists(f"/sys/block/{os.path.basename(device)}/loop/backing_file") and time.monotonic() < end:
        time.sleep(0.005)
