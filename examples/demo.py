"""What `make demo` runs: read a sample photo and a sample clip, print what was found, write demo/.

The photo is NASA's portrait of Eileen Collins, in the public domain; it ships with scikit-image. The clip is made
from it: the camera moves over the photo, away from the face and back.
"""

import importlib.util
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from mien.apps.cli.read import read

DEMO = Path("demo")
FRAMES, FRAMES_PER_S, VIEW_PX = 60, 20, 320


def sample_photo() -> Path:
    """Return the path of the astronaut's portrait, beside the environment or inside an installed scikit-image."""
    unpacked = Path(sys.prefix) / "sample" / "skimage" / "data" / "astronaut.png"
    if unpacked.is_file():
        return unpacked
    spec = importlib.util.find_spec("skimage")
    assert spec is not None, "scikit-image is not installed; `make demo` installs it"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "data" / "astronaut.png"


def make_clip(photo: Path, clip: Path) -> None:
    """Write a clip in which a 320-pixel view moves over the photo: the face leaves the picture and comes back."""
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    with av.open(clip, "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S)
        stream.width = stream.height = VIEW_PX
        stream.pix_fmt = "yuv420p"
        for index in range(FRAMES):
            top = round((pixels.shape[0] - VIEW_PX) * np.sin(np.pi * index / (FRAMES - 1)) ** 4)
            view = np.ascontiguousarray(pixels[top : top + VIEW_PX, 64 : 64 + VIEW_PX])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    DEMO.mkdir(exist_ok=True)
    photo, clip = sample_photo(), DEMO / "sample.mp4"
    make_clip(photo, clip)
    for source, annotated in ((photo, DEMO / "photo.jpg"), (clip, DEMO / "clip.mp4")):
        table = annotated.with_suffix(".parquet")
        print(f"\n$ mien read {source.name} --annotate {annotated} --out {table}")
        read([source], annotate=annotated, out=table)
    print(f"\nWritten: {', '.join(str(path) for path in sorted(DEMO.iterdir()))}")


if __name__ == "__main__":
    main()
