"""Draw the gallery, ``python examples/gallery [--out DIR] [NAME ...]``: each picture light and dark, at full size."""

import argparse
import io
import runpy
import time
from pathlib import Path

from PIL import Image

from thalweg.plot import THEMES
from thalweg.plot.static import render

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def small(png: bytes, most: int = 200_000) -> bytes:
    """The picture with a palette of 256 colours, a third of the bytes; of fewer where it would exceed ``most``."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "png", optimize=True)
        if out.tell() <= most:
            break
    return out.getvalue()


def main() -> None:
    """Compute what is named, or everything, and write NAME.png and NAME-dark.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        began = time.process_time()
        example = runpy.run_path(str(HERE / f"{name}.py"))
        found = example["record"]()
        for theme, ending in zip(THEMES.values(), ("", "-dark"), strict=True):
            drawn = render(found, "png", theme, dpi=110, view=example.get("VIEW"))
            (given.out / f"{name}{ending}.png").write_bytes(small(drawn))
        print(f"{name}: {time.process_time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
