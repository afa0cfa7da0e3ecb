"""What a recipe does to faces, as one picture: a face of each class as it is, and as training may see it.

In: a FaceSet and a recipe.  Out: a PNG.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.data.contact_sheet import GAP_PX, INK, LETTER_PX, NAME_PX, PAPER, TILE_PX
from mien.data.faceset import FaceSet
from mien.errors import OutputError
from mien.files import written_beside
from mien.preprocess import normalisation
from mien.training.augmentation import augment, mix
from mien.training.batches import generator
from mien.training.recipe import Recipe

LOOKS = 10
SEED = 0  # of which faces are drawn, and of what is done to them
HEADER_PX = 28


def write_recipe_sheet(faces: FaceSet, recipe: Recipe, path: Path) -> None:
    """Write a PNG with a row for each class: a face as it is stored, and LOOKS at it by the recipe's augmentation.

    The faces of a column are one batch, so that mixup, which mixes the faces of a batch, shows as in training.

    Args:
        faces: The set; one face of each class is drawn from it.
        recipe: Its augmentation and its input.
        path: The PNG to write.

    Raises:
        DataError: The faces do not have the size and colours that the recipe takes.
        OutputError: The path cannot be written, or does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"Cannot write {path}: the name of a recipe's sheet must end in .png.")
    spec = recipe.input.spec()
    faces.check_fits(spec, f"Recipe {recipe.name}")
    random = np.random.default_rng(SEED)
    classes = [code for code in range(len(faces.label_names)) if (faces.labels == code).any()]
    rows = np.array([random.choice(np.flatnonzero(faces.labels == code)) for code in classes])
    originals = np.array(faces.faces_u8[rows])
    scale, offset = normalisation(spec)
    columns = [originals]
    for look in range(LOOKS):
        draws = generator(SEED, look)
        mirrored = torch.full((len(rows),), recipe.augmentation.flip != "none" and look % 2 == 1)
        inputs = augment(torch.from_numpy(originals), mirrored, recipe.augmentation, spec, draws, spec.view_px)
        inputs, _ = mix(inputs, torch.eye(len(rows)), recipe.augmentation, draws)
        pixels = ((inputs.numpy() - offset) / scale).round().clip(0, 255).astype(np.uint8)  # (N, C, V, V)
        columns.append(pixels[:, 0] if spec.channels == 1 else pixels.transpose(0, 2, 3, 1))
    with written_beside(path) as beside:
        _sheet([faces.label_names[code] for code in classes], columns, _heading(recipe)).save(beside)


def _heading(recipe: Recipe) -> str:
    heading = f"as training by {recipe.name} may see it"
    mixed = recipe.augmentation.mixup_alpha > 0 and recipe.augmentation.mixup_share > 0
    return f"{heading}; mixup mixes the faces of a column, and their labels with them" if mixed else heading


def _sheet(names: list[str], columns: list[NDArray[np.uint8]], heading: str) -> Image.Image:
    step = TILE_PX + GAP_PX
    looks_left = NAME_PX + step + 3 * GAP_PX  # a wider gap between the face and the looks at it
    sheet = Image.new("RGB", (looks_left + LOOKS * step, HEADER_PX + len(names) * step + GAP_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(LETTER_PX * 2 // 3), ImageFont.load_default(LETTER_PX)
    draw.text((NAME_PX, GAP_PX * 2), "as stored", fill=INK, font=small)
    draw.text((looks_left, GAP_PX * 2), heading, fill=INK, font=small)
    for row, name in enumerate(names):
        top = HEADER_PX + row * step
        draw.text((GAP_PX * 3, top + (TILE_PX - LETTER_PX) / 2), name, fill=INK, font=large)
        for number, column in enumerate(columns):
            tile = Image.fromarray(column[row]).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
            sheet.paste(tile, (NAME_PX if number == 0 else looks_left + (number - 1) * step, top))
    return sheet
