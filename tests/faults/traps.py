"""Files that are traps: small on the disk, and absurd in what they ask for or would do."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

TWO_40 = b"\x8a\x06" + (2**40).to_bytes(6, "little")
"""The pickle instruction that pushes 2⁴⁰."""

GROWN = 64 * 2**20
"""What the bombs grow to: more than the tests' limit, and little enough for a machine that falls for one."""


class Touch:
    """Unpickled, it makes a file: the mark that code was run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (self.mark,)  # type: ignore[return-value]


def running_pickles(folder: Path, mark: Path) -> dict[str, Path]:
    """Checkpoints that would make ``mark`` if they were unpickled."""
    evil = {"weight": Touch(mark)}
    (folder / "plain.pt").write_bytes(pickle.dumps(evil))
    torch.save(evil, folder / "zip.pt")
    torch.save(evil, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    (folder / "named.safetensors").write_bytes(pickle.dumps(evil))
    return {name: folder / name for name in ("plain.pt", "zip.pt", "legacy.pt", "named.safetensors")}


def checkpoint(
    path: Path, *, stored: bytes | None = None, size: bytes | None = None, stride: bytes | None = None
) -> Path:
    """A checkpoint of one tensor of 4 numbers, whose pickle says another count, size or stride."""
    whole = io.BytesIO()
    torch.save({"weight": torch.arange(4.0)}, whole)
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for member in given.infolist():
            content = given.read(member)
            if member.filename.endswith("data.pkl"):
                count, tuple_ = content.index(b"K\x04"), content.index(b"K\x04", content.index(b"K\x04") + 1)
                end = content.index(b"K\x01\x85")
                content = (
                    content[:count] + (stored or b"K\x04") + content[count + 2 : tuple_] + (size or b"K\x04")
                    + content[tuple_ + 2 : end] + (stride or b"K\x01") + content[end + 2 :]
                )  # fmt: skip
            made.writestr(member.filename, content)
    return path


def legacy(path: Path, at: int) -> Path:
    """A checkpoint of the old format in which the storage's (0) or the tensor's (1) size is 2⁴⁰."""
    whole = io.BytesIO()
    torch.save({"weight": torch.arange(4.0)}, whole, _use_new_zipfile_serialization=False)
    content = whole.getvalue()
    place = content.index(b"rebuild_tensor")
    for _ in range(at + 1):
        place = content.index(b"K\x04", place + 1)
    path.write_bytes(content[:place] + TWO_40 + content[place + 2 :])
    return path


def pickled(path: Path, body: bytes) -> Path:
    """A checkpoint whose pickle is of these instructions."""
    whole = io.BytesIO()
    torch.save({}, whole)
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for member in given.infolist():
            content = b"\x80\x02" + body + b"." if member.filename.endswith("data.pkl") else given.read(member)
            made.writestr(member.filename, content)
    return path


def old_pickled(path: Path, body: bytes) -> Path:
    """The same in the format before torch 1.6."""
    whole = io.BytesIO()
    torch.save({}, whole, _use_new_zipfile_serialization=False)
    kept, empty = whole.getvalue(), pickle.dumps({}, protocol=2)
    at = kept.index(empty, kept.index(b"type_sizes"))
    path.write_bytes(kept[:at] + b"\x80\x02" + body + b"." + kept[at + len(empty) :])
    return path


def doubled(times: int) -> bytes:
    """A dictionary whose only key is a tuple of two equal ones, and these of two, so many times."""
    return b"})" + b"q\x00h\x00\x86" * times + b"K\x01s"


def nested(times: int) -> bytes:
    """A dictionary whose only key is a tuple of one tuple of one, so many times."""
    return b"})" + b"\x85" * times + b"K\x01s"


def keyed_often(times: int) -> bytes:
    """One long key that is used again and again, each time in a dictionary of its own."""
    return b"](" + b"K\x01" * times + b"tq\x00" + b"}h\x00K\x01sa" * times


def zeros(size: int) -> bytes:
    """An array of so many bytes, of which the pickle says the number alone."""
    return b"c__builtin__\nbytearray\n\x8a\x08" + size.to_bytes(8, "little") + b"\x85R"


def encoded(length: int) -> bytes:
    """A text turned into bytes by an encoding that takes the square of its length."""
    text = b"\xc3\xa9" * length
    return b"c_codecs\nencode\nX" + struct.pack("<I", len(text)) + text + b"X\x04\x00\x00\x00idna\x86R"


def packed_checkpoint(path: Path) -> Path:
    """A checkpoint whose only tensor is compressed and grows."""
    whole = io.BytesIO()
    torch.save({"weight": torch.zeros(4)}, whole)
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for member in given.infolist():
            made.writestr(member.filename, bytes(GROWN) if member.filename.endswith("data/0") else given.read(member))
    return path


def safetensors(path: Path, header: object, length: int | None = None, body: bytes = b"") -> Path:
    """A safetensors file with a header of any content, which says any length of itself."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def npy(shape: tuple[int, ...], body: bytes = b"", dtype: str = "<f8") -> bytes:
    """The bytes of a ``.npy`` file whose header says any shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + body


def archive(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip file of these members."""
    with zipfile.ZipFile(path, "w", packing) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def idx(path: Path, shape: tuple[int, ...], body: bytes) -> Path:
    """An IDX file of bytes whose header says any shape; packed where the name ends so."""
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def sparse(path: Path, size: int) -> Path:
    """A file of ``size`` bytes that takes none of the disk."""
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
    return path


def deep(path: Path, depth: int = 100_000) -> Path:
    """A JSON text nested more deeply than any parser follows."""
    path.write_text("[" * depth, encoding="utf-8")
    return path
