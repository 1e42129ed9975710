"""A reader of VTK's XML files with raw appended data, written from the format's description alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np

TYPES = {"Float64": "<f8", "Float32": "<f4", "Int64": "<i8", "Int32": "<i4", "UInt8": "<u1"}


@dataclass
class Read:
    kind: str
    attributes: dict[str, str]
    point_data: dict[str, np.ndarray]
    strings: dict[str, str]
    points: np.ndarray
    cells: dict[str, list[list[int]]]
    extent: list[int]


def read(content: bytes) -> Read:
    head, _, tail = content.partition(b'<AppendedData encoding="raw">\n_')
    block, _, end = tail.rpartition(b"\n</AppendedData>")
    assert end.strip() == b"</VTKFile>"
    root = ET.fromstring(head + b"</VTKFile>")
    assert root.attrib["byte_order"] == "LittleEndian" and root.attrib["header_type"] == "UInt64"
    (data,) = root
    (piece,) = data.iter("Piece")
    taken = 0

    def array(element: ET.Element) -> np.ndarray:
        nonlocal taken
        at = int(element.attrib["offset"])
        size = int.from_bytes(block[at : at + 8], "little")
        taken += 8 + size
        found = np.frombuffer(block[at + 8 : at + 8 + size], dtype=TYPES[element.attrib["type"]])
        parts = int(element.attrib.get("NumberOfComponents", 1))
        return found.reshape(-1, parts) if parts > 1 else found

    strings = {}
    for element in data.iter("Array"):
        codes = [int(code) for code in (element.text or "").split()]
        assert codes[-1] == 0
        strings[element.attrib["Name"]] = bytes(codes[:-1]).decode()
    point_data = {e.attrib["Name"]: array(e) for group in piece.iter("PointData") for e in group}
    points = np.empty((0, 3))
    for group in piece.iter("Points"):
        points = array(group[0])
    cells = {}
    for kind in ("Verts", "Lines", "Polys"):
        for group in piece.iter(kind):
            held = {e.attrib["Name"]: array(e) for e in group}
            ends = held["offsets"].tolist()
            cells[kind] = [held["connectivity"][a:b].tolist() for a, b in zip([0, *ends], ends, strict=False)]
            assert int(piece.attrib[f"NumberOf{kind}"]) == len(ends)
    assert taken == len(block)  # every byte of the tail belongs to one array
    extent = [int(v) for v in piece.attrib.get("Extent", "").split()]
    return Read(root.attrib["type"], dict(data.attrib), point_data, strings, points, cells, extent)
