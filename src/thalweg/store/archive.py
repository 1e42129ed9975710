"""NumPy archives of unknown origin, read within limits: zip members that hold one array each."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from thalweg import limits
from thalweg.errors import DamagedError

_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways of packing whose readers unpack piece by piece; the others unpack whatever there is at once."""


def members(path: Path) -> dict[str, bytes]:
    """The content of every member of a zip file by its name.

    Raises
    ------
    LimitError
        If the file is no regular one, or its members grow beyond the limit.
    DamagedError
        If a member is packed in another way than NumPy does, or two have one name.
    OSError, zipfile.BadZipFile, zlib.error
        If it cannot be read.
    """
    limits.whole(path)
    with zipfile.ZipFile(path) as archive:
        held = archive.infolist()
        limits.afford(path, sum(member.file_size for member in held), limits.stored_bytes(path))
        odd = [m.filename for m in held if m.compress_type not in _PACKED]
        if odd or len({m.filename for m in held}) < len(held):
            reason = f"member {odd[0]!r} is packed in another way" if odd else "two members have one name"
            raise DamagedError(f"{path}: {reason} than NumPy writes: use another copy")
        return {member.filename: archive.read(member) for member in held}


def array(content: bytes) -> np.ndarray:
    """The array of a ``.npy`` file's bytes, whose header is compared with what follows it before it is believed.

    Raises
    ------
    ValueError
        If the header is damaged, or says another size than there is; objects are never loaded.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is of version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("its objects are a pickle, and allow_pickle is never set")
    size = math.prod(shape) * dtype.itemsize
    if size != len(content) - file.tell():
        raise ValueError(f"its header says {dtype} {shape}, and {len(content) - file.tell():,} bytes follow")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
