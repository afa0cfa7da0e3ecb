"""Train and measure the face check: is what a detector found a face at all?

    python benchmarks/face_check.py train   FER2013.faceset     # writes src/mien/reading/face_check.onnx
    python benchmarks/face_check.py measure FER2013.faceset [CLIP_WITHOUT_FACES ...]

Faces are FER2013's Training faces. What is none: those that most of FER+'s voters called "not a face", whatever Haar's
cascades are drawn to in face-free pictures (sample pictures of scikit-image, scikit-learn and matplotlib, turned, cut
and scaled; generated textures), and small parts of faces. The measurement uses other sample pictures, other textures
and PublicTest. The FaceSet has to be made with `--votes`.
"""

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mien.data.faceset import FaceSet, open_faceset
from mien.preprocess import crop_face
from mien.reading.detectors import Detection, make_detector, square
from mien.reading.detectors.haar import FRONTAL, FRONTAL_CROP, PROFILE, HaarDetector
from mien.reading.face_check import MODEL, SPEC, FaceCheck, looks
from mien.reading.sources import frames

Image = NDArray[np.uint8]

# Sample pictures without a human face. What is trained on is never measured on; the two views of one motorcycle stay on
# one side. The coins show heads, so they are nothing to measure by, but round things are worth learning from.
TRAINING = {
    "skimage": "coffee.png brick.png grass.png chelsea.png moon.png page.png clock_motion.png motorcycle_left.png "
    "motorcycle_right.png ihc.png hubble_deep_field.jpg text.png coins.png",
}
TEST = {
    "skimage": "rocket.jpg gravel.png logo.png retina.jpg horse.png cell.png color.png phantom.png",
    "sklearn": "china.jpg flower.jpg",
    "matplotlib": "Minduka_Present_Blue_Pack.png",
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
NOT_A_FACE_VOTES = 5  # of ten voters: most of them
PASS_SHARE = 0.985  # of held-out Training faces that the threshold lets pass; PublicTest must come out at .98 or more
HELD_OUT = 10  # each tenth Training face chooses the threshold


def sample_pictures(names: dict[str, str]) -> list[Image]:
    """Return sample pictures of installed packages as BGR."""
    pictures = []
    for package, files in names.items():
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        folder = Path(spec.submodule_search_locations[0]) / FOLDERS[package]
        pictures += [next(iter(frames(folder / name))).image_bgr for name in files.split()]
    return pictures


def generated(random: np.random.Generator) -> Image:
    """Return a texture: noise whose power falls with frequency, with or without shapes and letters on it."""
    side = int(random.integers(240, 560))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(random.normal(size=(side, side))) / frequency ** random.uniform(0.8, 1.6)
    noise = np.fft.irfft2(spectrum, s=(side, side))
    image = np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    image = np.repeat(image[:, :, None], 3, axis=2)
    for _ in range(int(random.integers(0, 25))):
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        x, y, r = (int(v) for v in random.integers(0, side, 3))
        kind = random.integers(0, 3)
        if kind == 0:
            cv2.ellipse(image, (x, y), (r // 8 + 4, r // 12 + 4), float(r), 0, 360, colour, -1)
        elif kind == 1:
            cv2.rectangle(image, (x, y), (x + r // 4 + 4, y + r // 6 + 4), colour, -1)
        else:
            letters = "".join(chr(c) for c in random.integers(65, 91, 4))
            cv2.putText(image, letters, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5 + r / 150, colour, 1 + r // 100)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 2)), np.uint8)


def views(pictures: list[Image], count: int, seed: int, *, blended: bool = False) -> Iterator[Image]:
    """Yield face-free pictures: two thirds sample pictures cut, turned and scaled, one third generated.

    With `blended`, every other sample picture is laid over another one: more variety to learn from.
    """
    random = np.random.default_rng(seed)
    for number in range(count):
        if number % 3 == 2:
            yield generated(random)
            continue
        image = pictures[(number - number // 3) % len(pictures)]
        if blended and number % 2:
            over = pictures[random.integers(len(pictures))]
            over = cv2.resize(over, (image.shape[1], image.shape[0]))
            image = np.asarray(cv2.addWeighted(image, 0.5, over, 0.5, 0), np.uint8)
        height, width = image.shape[:2]
        cut = random.uniform(0.5, 1, 2)
        top, left = (int(random.uniform(0, 1 - share) * side) for share, side in zip(cut, (height, width), strict=True))
        image = image[top : top + int(cut[0] * height), left : left + int(cut[1] * width)]
        image = np.rot90(image, random.integers(0, 4))[:, :: random.choice([-1, 1])]
        scale = random.uniform(280, 640) / max(image.shape)
        yield np.asarray(cv2.resize(np.ascontiguousarray(image), None, fx=scale, fy=scale), np.uint8)


def not_faces(faceset: FaceSet) -> NDArray[np.bool_]:
    """Return which faces most voters called "not a face"."""
    if faceset.votes is None:
        raise SystemExit("The FaceSet has no votes; make it with `mien data prepare … --votes fer2013new.csv`.")
    return np.asarray(faceset.votes[:, faceset.vote_names.index("NF")] >= NOT_A_FACE_VOTES)


def negatives(faces_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return (N, 48, 48) crops that are no faces: what Haar is drawn to, random squares, small parts of faces."""
    folder = Path(cv2.__file__).parent / "data"
    cascades = [cv2.CascadeClassifier(str(folder / name)) for name in (FRONTAL, PROFILE)]
    crops = []
    for image in views(sample_pictures(TRAINING), 750, seed=1, blended=True):
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        hits = [box for cascade in cascades for box in cascade.detectMultiScale(grey, 1.1, 0, minSize=(24, 24))]
        for x, y, side, _ in random.permutation(hits)[:40] if hits else ():
            crops.append(crop_face(image, square(x + side / 2, y + side / 2, FRONTAL_CROP * side), SPEC))
        for _ in range(10):
            side = random.uniform(24, min(image.shape[:2]))
            x, y = (random.uniform(0, extent - side) for extent in (image.shape[1], image.shape[0]))
            crops.append(crop_face(image, (x, y, side, side), SPEC))
    for face in faces_u8[random.permutation(len(faces_u8))[:3000]]:
        side = random.uniform(12, 20)  # an eye, a mouth, a cheek: up to two fifths of a crop
        x, y = random.uniform(0, 48 - side, 2)
        crops.append(crop_face(np.repeat(face[:, :, None], 3, axis=2), (x, y, side, side), SPEC))
    return np.array(crops, np.uint8)


def train(faceset: FaceSet) -> None:
    """Train the check on one thread and write its file, threshold inside."""
    import onnx
    import torch
    from torch import nn

    random = np.random.default_rng(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    training = faceset.split("Training")
    no_face = not_faces(training)
    faces, none = np.asarray(training.faces_u8[~no_face]), np.asarray(training.faces_u8[no_face])
    held_out = np.arange(len(faces)) % HELD_OUT == 0
    bad = np.concatenate([negatives(faces[~held_out], random), np.repeat(none, 10, axis=0)])
    print(f"{(~held_out).sum():,} faces, {len(bad):,} others ({len(none)} of them by FER+'s voters, ten times each)")
    pixels = torch.from_numpy(np.concatenate([faces[~held_out], bad])).float()[:, None]
    target = torch.from_numpy(np.repeat([1.0, 0.0], [(~held_out).sum(), len(bad)])).float()
    network = nn.Sequential(
        nn.AvgPool2d(2),  # (N, 1, 48, 48) -> (N, 1, 24, 24)
        nn.InstanceNorm2d(1),  # a face stays one in any light
        *(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # -> (N, 12, 12, 12)
        *(nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),  # -> (N, 24, 6, 6)
        *(nn.Conv2d(24, 32, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1152, 1), nn.Sigmoid()),
    )
    epochs, batch = 10, 256
    steps = epochs * (len(pixels) // batch)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    weight = torch.where(target == 1, len(pixels) / (2 * target.sum()), len(pixels) / (2 * (1 - target).sum()))
    for _ in range(epochs):
        for chosen in torch.randperm(len(pixels))[: len(pixels) // batch * batch].split(batch):
            views = _jittered(pixels[chosen])
            loss = nn.functional.binary_cross_entropy(network(views)[:, 0], target[chosen], weight[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"  loss {loss.item():.3f}")
    network.eval()
    with torch.no_grad():
        scores = network(torch.from_numpy(faces[held_out]).float()[:, None])[:, 0].numpy()
    threshold = float(np.quantile(scores, 1 - PASS_SHARE))
    program = torch.onnx.export(
        network,
        (pixels[:2],),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("faces_n")},),
        input_names=["faces"],
        output_names=["face_probability"],
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, {"threshold": str(threshold), "faceset": faceset.sha256})
    onnx.save(model, MODEL)
    print(f"threshold {threshold:.4f}; {MODEL} has {MODEL.stat().st_size / 1000:.0f} kB")


def _jittered(pixels):  # type: ignore[no-untyped-def]
    """Return a batch shifted, scaled, turned and mirrored as a detector's boxes jitter: see TRAINING's spread there."""
    import torch

    count = len(pixels)
    scale = 1 + 0.12 * (2 * torch.rand(count) - 1)
    angle = 0.26 * (2 * torch.rand(count) - 1)  # radians: 15 degrees
    mirror = 1 - 2 * (torch.rand(count) < 0.5).float()
    cos, sin, shift = scale * angle.cos(), scale * angle.sin(), 0.14 * (2 * torch.rand(count, 2) - 1)
    rows = [torch.stack([mirror * cos, -sin, shift[:, 0]], 1), torch.stack([mirror * sin, cos, shift[:, 1]], 1)]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(pixels.shape), align_corners=False)
    return torch.nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def measure(faceset: FaceSet, clips: list[Path]) -> None:
    """Print what the check costs and brings."""
    check, console = FaceCheck(), Console(width=110)
    table = Table("faces that pass", "n", "share", title="The face check on FER2013's own crops")
    for split in ("Training", "PublicTest"):
        part = faceset.split(split)
        none = not_faces(part)
        passed = check.passes(np.asarray(part.faces_u8))
        table.add_row(f"{split}, faces", f"{(~none).sum():,}", f"{passed[~none].mean():.2%}")
        table.add_row(f"{split}, called no face by most voters", f"{none.sum():,}", f"{passed[none].mean():.2%}")
    console.print(table)
    pictures = {"200 face-free pictures": list(views(sample_pictures(TEST), 200, seed=2))}
    pictures |= {clip.name: [frame.image_bgr for frame in frames(clip)] for clip in clips}
    table = Table("face-free pictures", "n", "hits asked for", "false faces", "left by the check", "drop")
    detector = HaarDetector()
    for name, images in pictures.items():
        found: list[tuple[Detection, bool]] = []
        for image in images:
            hits = detector.find(image)
            found += zip(hits, check.passes(looks(image, hits)), strict=True)
        for least in (2, 3, 4, 5):
            all_, left = (sum(hit.score >= least and (kept or not ask) for hit, kept in found) for ask in (False, True))
            drop = f"{1 - left / all_:.1%}" if all_ else "–"
            table.add_row(name, str(len(images)), f"{least} or more", str(all_), str(left), drop)
    console.print(table)
    table = Table("detector", "found", "of", title="PublicTest faces enlarged to 192 px, found where they are")
    faces = np.asarray(faceset.split("PublicTest").faces_u8[::8])
    for name in ("haar, 5 hits, no check", "haar", "dlib", "yunet"):
        detector_ = HaarDetector() if "no check" in name else make_detector(name)
        count = 0
        for face in faces:
            large = np.pad(cv2.resize(face, (192, 192), interpolation=cv2.INTER_CUBIC), 96, mode="edge")
            hits = detector_.find(np.repeat(large[:, :, None], 3, axis=2))
            least = 5 if "no check" in name else 0
            count += any(hit.sure and hit.score >= least and _near(hit) for hit in hits)
        table.add_row(name, str(count), str(len(faces)))
    console.print(table)
    batch = np.asarray(faceset.split("PublicTest").faces_u8[:1])
    check.passes(batch)
    started = time.perf_counter()
    for _ in range(500):
        check.passes(batch)
    console.print(f"{(time.perf_counter() - started) / 500 * 1e3:.3f} ms a face, one at a time, on one thread")


def _near(hit: Detection) -> bool:
    x, y, side, _ = hit.crop_xywh_px
    return abs(x + side / 2 - 192) < 60 and abs(y + side / 2 - 192) < 60


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("train", "measure"):
        raise SystemExit(__doc__)
    faces = open_faceset(Path(sys.argv[2]))
    if sys.argv[1] == "train":
        train(faces)
    else:
        measure(faces, [Path(name) for name in sys.argv[3:]])
