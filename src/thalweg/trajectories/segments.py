"""Append-only segments: blocks of bytes that are whole or known not to be, whatever happened to the writer.

A block is a header of 68 bytes and its payload. The header holds the block's number, the step, the loss and the
learning rate it belongs to, the payload's length and blake2b digest, and a CRC-32 of all that. A file that ends inside
a block was torn by a kill: that tail is cut. Anything else that does not fit is damage, and is named.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thalweg import limits
from thalweg.errors import DamagedError, StoreError

try:
    import fcntl
except ImportError:  # not a POSIX system: two writers are then not told apart
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES = 64 * 2**20
"""A segment that has grown beyond this is closed, forced to the disk, and followed by another."""

_HEAD = struct.Struct("<4sHHQqddQ16s")
_SUM = struct.Struct("<I")
_MAGIC, _VERSION, _SIZE = b"TWPT", 1, _HEAD.size + _SUM.size
_HARMED = "copy the segment from elsewhere, or read the rest with damaged='skip'"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is said of a point: its number in the directory, its step, the loss and learning rate (NaN: not given)."""

    index: int
    step: int
    loss: float
    rate: float


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a segment, whose header is whole: where its payload lies and what its digest must be."""

    stamp: Stamp
    digest: bytes
    path: Path
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return self.offset + self.size

    def payload(self) -> bytes:
        """The bytes, compared with their digest.

        Raises
        ------
        DamagedError
            If they differ; the file, the block and its step are named.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read ({error.strerror or error}): mend its permissions") from error
        if digest([content]) != self.digest:
            raise DamagedError(f"{self.path}: the point of step {self.stamp.step} differs from its checksum: {_HARMED}")
        return content


def digest(parts: Iterable[bytes | memoryview]) -> bytes:
    """The blake2b digest, 16 bytes."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.digest()


def segment_name(index: int, suffix: str = ".seg") -> str:
    """The file of a segment whose first block has this number."""
    return f"points-{index:012d}{suffix}"


def scan(path: Path, skipped: list[str] | None = None) -> tuple[list[Block], int]:
    """The blocks of a segment, from their headers alone, and how many bytes a torn tail has.

    Raises
    ------
    DamagedError
        If a header is there and differs from its checksum; with ``skipped``, that is noted there and what follows in
        the segment is left out.
    """
    blocks: list[Block] = []
    try:
        limits.whole(path)
        with path.open("rb") as file:
            size, offset = os.fstat(file.fileno()).st_size, 0
            while offset + _SIZE <= size:
                file.seek(offset)
                try:
                    block = _block(path, file.read(_SIZE), offset)
                except DamagedError as error:
                    if skipped is None:
                        raise
                    skipped.append(f"left out with all that follows in it: {error}")
                    return blocks, 0
                if block.end > size:
                    break
                blocks.append(block)
                offset = block.end
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error}): mend its permissions") from error
    return blocks, size - offset


def _block(path: Path, head: bytes, offset: int) -> Block:
    content, (crc,) = head[: _HEAD.size], _SUM.unpack(head[_HEAD.size :])
    magic, version, _, index, step, loss, rate, size, blake = _HEAD.unpack(content)
    if magic != _MAGIC or zlib.crc32(content) != crc:
        raise DamagedError(f"{path}: the block at byte {offset:,} differs from its checksum: {_HARMED}")
    if version != _VERSION:
        raise StoreError(f"{path} has version {version}, this thalweg reads {_VERSION}: read it with a newer one")
    return Block(Stamp(index, step, loss, rate), blake, path, offset + _SIZE, size)


def cut(path: Path, torn: int) -> None:
    """Take a torn tail of so many bytes off a segment, so that what follows it is again a block."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - torn)
        os.fsync(file.fileno())


class SegmentWriter:
    """Appends blocks to the segments of one directory; every block reaches the system before ``append`` returns.

    A process that is killed loses at most the block it was writing. A machine that loses power loses at most the
    segment that was open: only closed ones are forced to the disk, so that training never waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fd: int | None = None
        self._path = folder
        self._size = 0

    def append(self, stamp: Stamp, parts: Sequence[bytes | memoryview], blake: bytes | None = None) -> None:
        """Write one block; ``blake`` is the digest of something kept elsewhere.

        Raises
        ------
        StoreError
            If the disk is full or the directory cannot be written; what was half written is taken back.
        """
        size = sum(memoryview(part).nbytes for part in parts)
        blake = digest(parts) if blake is None else blake
        head = _HEAD.pack(_MAGIC, _VERSION, 0, stamp.index, stamp.step, stamp.loss, stamp.rate, size, blake)
        try:
            fd = self._open(stamp.index)
            for part in (head + _SUM.pack(zlib.crc32(head)), *parts):
                view = memoryview(part).cast("B")
                while view.nbytes:
                    view = view[os.write(fd, view) :]
        except OSError as error:
            self._take_back()
            raise StoreError(
                f"{self.folder}: {error.strerror or error} at step {stamp.step}; the points before it are kept: free "
                "space or permissions, then go on with resume=True"
            ) from error
        self._size += _SIZE + size
        if self._size >= SEGMENT_BYTES:
            self.close()

    def close(self) -> None:
        """Force the open segment to the disk and let go of it."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.fsync(fd)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror or error}: free space, then resume=True") from error
        finally:
            os.close(fd)

    def _open(self, index: int) -> int:
        if self._fd is None:
            self._path = self.folder / segment_name(index)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            self._size = 0
        return self._fd

    def _take_back(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, self._size)


class Lock:
    """Held by the one process that writes into a directory; the system lets go of it when that process ends."""

    def __init__(self, path: Path) -> None:
        self._fd: int | None = None
        self._fd = os.open(path, os.O_RDWR)
        try:
            if fcntl is not None:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise StoreError(
                f"{path.parent} is being recorded into: end that recording or its process, or give another directory"
            ) from error
        except OSError:  # a file system without locks
            return

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        self.close()
