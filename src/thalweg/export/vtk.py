"""VTK's XML files as bytes: image data and polygonal data, arrays appended raw (VTK file formats, XML part)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

import numpy as np

from thalweg.errors import InputError

_TYPES = {
    "f4": "Float32", "f8": "Float64", "i1": "Int8", "i2": "Int16", "i4": "Int32", "i8": "Int64", "u1": "UInt8",
    "u2": "UInt16", "u4": "UInt32", "u8": "UInt64",
}  # fmt: skip


class _Appended:
    """Blocks at the end of a file, each its length in bytes as a UInt64 and its values, little-endian."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self._at = 0

    def array(self, name: str, values: np.ndarray) -> str:
        """The element of an array [n] or [n, components]; its values go to the end.

        Raises
        ------
        InputError
            If they are no real numbers.
        """
        if values.dtype.kind not in "biuf":
            raise InputError(f"array {name!r} is of type {values.dtype}: VTK holds real numbers")
        values = np.asarray(values, dtype=np.uint8 if values.dtype == bool else values.dtype)
        values = values.astype(np.float64) if values.dtype == np.float16 else values
        values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        kind = _TYPES[f"{values.dtype.kind}{values.dtype.itemsize}"]
        parts = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
        found = f"<DataArray type={quoteattr(kind)} Name={_quoted(name)}{parts} format='appended' offset='{self._at}'/>"
        self.blocks += [values.nbytes.to_bytes(8, "little"), values.tobytes()]
        self._at += 8 + values.nbytes
        return found


def image(
    shape: Sequence[int],
    origin: Sequence[float],
    spacing: Sequence[float],
    arrays: Mapping[str, np.ndarray],
    texts: Mapping[str, str],
    active: str,
) -> bytes:
    """A ``.vti`` file: point arrays [n0, n1, n2] or [n0, n1, n2, c] on a regular grid, whose first axis is x.

    ``texts`` become strings of the field data, and ``active`` is the array that is coloured at first.
    """
    tail = _Appended()
    extent = " ".join(f"0 {n - 1}" for n in shape)
    flat = {name: _first_axis_fastest(a, len(shape)) for name, a in arrays.items()}
    body = (
        f'<ImageData WholeExtent="{extent}" Origin="{_numbers(origin)}" Spacing="{_numbers(spacing)}">\n'
        f"{_field(texts)}"
        f'<Piece Extent="{extent}">\n<PointData Scalars={_quoted(active)}>\n'
        + "".join(tail.array(name, a) + "\n" for name, a in flat.items())
        + "</PointData>\n</Piece>\n</ImageData>\n"
    )
    return _file("ImageData", body, tail)


def polygons(
    points: np.ndarray,
    cells: Mapping[str, Sequence[np.ndarray]],
    arrays: Mapping[str, np.ndarray],
    texts: Mapping[str, str],
    active: str,
) -> bytes:
    """A ``.vtp`` file: ``points`` [n, 3], point arrays [n] or [n, c], cells of "Verts", "Lines" and "Polys".

    A cell is an array of indices of its points.
    """
    tail = _Appended()
    counts = " ".join(f'NumberOf{kind}="{len(cells.get(kind, ()))}"' for kind in ("Verts", "Lines", "Strips", "Polys"))
    data = "".join(tail.array(name, a) + "\n" for name, a in arrays.items())
    held = ""
    for kind in ("Verts", "Lines", "Polys"):
        given = cells.get(kind, ())
        joined = np.concatenate([np.asarray(c, dtype=np.int64) for c in given]) if len(given) else np.empty(0, np.int64)
        ends = np.cumsum([len(c) for c in given], dtype=np.int64)
        held += f"<{kind}>\n{tail.array('connectivity', joined)}\n{tail.array('offsets', ends)}\n</{kind}>\n"
    where = tail.array("Points", np.asarray(points, dtype=np.float64))
    body = (
        f'<PolyData>\n{_field(texts)}<Piece NumberOfPoints="{len(points)}" {counts}>\n'
        f"<PointData Scalars={_quoted(active)}>\n{data}</PointData>\n"
        f"<Points>\n{where}\n</Points>\n{held}</Piece>\n</PolyData>\n"
    )
    return _file("PolyData", body, tail)


def _file(kind: str, body: str, tail: _Appended) -> bytes:
    head = (
        f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
    )
    return b"".join(
        [(head + body + '<AppendedData encoding="raw">\n_').encode(), *tail.blocks, b"\n</AppendedData>\n</VTKFile>\n"]
    )


def _field(texts: Mapping[str, str]) -> str:
    """Strings as VTK writes them: the codes of their bytes, closed by a zero."""
    found = ""
    for name, text in texts.items():
        codes = " ".join(str(code) for code in (*text.encode(), 0))
        found += f'<Array type="String" Name={_quoted(name)} NumberOfTuples="1" format="ascii">{codes}</Array>\n'
    return f"<FieldData>\n{found}</FieldData>\n" if found else ""


def _first_axis_fastest(values: np.ndarray, axes: int) -> np.ndarray:
    """[n0, n1, n2, …] as [points, …], in VTK's order: x changes fastest."""
    turned = values.transpose(*range(axes)[::-1], *range(axes, values.ndim))
    return turned.reshape(-1, *values.shape[axes:])


def _numbers(values: Sequence[float]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _quoted(name: str) -> str:
    """A name as an XML attribute; what XML cannot hold at all is shown as it stands in Python."""
    return quoteattr("".join(c if c.isprintable() else repr(c)[1:-1] for c in name))
