"""Files for ParaView read back by VTK itself: ``python -m tests.export.vtk_files write FOLDER``, then ``read``.

The first runs where thalweg is installed, the second where pyvista is; `make vtk` does both.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def write(folder: Path) -> None:
    """Each record as .vti and .vtp, and beside it the arrays that a reader must find, by our own reader."""
    from tests.export import made as mine
    from tests.export.vtk_reader import read
    from thalweg.errors import InputError
    from thalweg.export import save

    folder.mkdir(parents=True, exist_ok=True)
    for name, record in mine.every().items():
        for ending in ("vti", "vtp"):
            try:
                file = save(record, folder / f"{name}.{ending}")
            except InputError:
                continue
            found = read(file.read_bytes())
            cells = {kind: [*map(len, held), *(i for cell in held for i in cell)] for kind, held in found.cells.items()}
            np.savez(
                folder / f"{name}.{ending}.npz",
                **{f"point:{key}": a for key, a in found.point_data.items()},
                **{f"cells:{key}": np.array(c, dtype=np.int64) for key, c in cells.items()},
                points=found.points,
                extent=np.array(found.extent),
                geometry=np.array(
                    [[float(v) for v in found.attributes.get(k, "").split()] for k in ("Origin", "Spacing")]
                ),
                strings=np.frombuffer(json.dumps(found.strings).encode(), dtype=np.uint8),
            )


def read_back(folder: Path) -> int:
    """Compare every file, as VTK reads it, with its arrays; how many were compared."""
    import pyvista

    compared = 0
    for file in sorted(folder.glob("*.vt[ip]")):
        expected = np.load(file.with_name(file.name + ".npz"))
        mesh = pyvista.read(file)
        arrays = {key.removeprefix("point:"): expected[key] for key in expected.files if key.startswith("point:")}
        assert set(mesh.point_data.keys()) == set(arrays), (file, mesh.point_data.keys())
        for key, array in arrays.items():
            found = np.asarray(mesh.point_data[key])
            assert found.dtype == array.dtype or found.dtype.itemsize == array.dtype.itemsize, (file, key, found.dtype)
            np.testing.assert_array_equal(found, array, err_msg=f"{file.name} {key}")
        strings = json.loads(expected["strings"].tobytes())
        for key, text in strings.items():
            assert str(mesh.field_data[key][0]) == text, (file, key)
        if file.suffix == ".vti":
            assert list(mesh.dimensions) == [int(n) + 1 for n in expected["extent"][1::2]], file
            np.testing.assert_array_equal([mesh.origin, mesh.spacing], expected["geometry"])
        else:
            np.testing.assert_array_equal(mesh.points, expected["points"])
            for kind, held in (("Verts", mesh.verts), ("Lines", mesh.lines), ("Polys", mesh.faces)):
                counts, indices = [], []
                at = 0
                while at < len(held):
                    counts.append(int(held[at]))
                    indices += held[at + 1 : at + 1 + held[at]].tolist()
                    at += 1 + int(held[at])
                assert counts + indices == expected[f"cells:{kind}"].tolist(), (file, kind)
        compared += 1
    return compared


if __name__ == "__main__":
    task, place = sys.argv[1], Path(sys.argv[2])
    if task == "write":
        write(place)
    else:
        number = read_back(place)
        assert number >= 10, number
        print(f"{number} files are read by VTK as they were written")
