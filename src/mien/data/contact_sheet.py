"""A FaceSet at a glance: a row of faces for each class, as one picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.data.faceset import FaceSet
from mien.errors import OutputError
from mien.files import written_beside
from mien.words import counted

FACES_A_ROW = 14
TILE_PX = 72
GAP_PX = 4
NAME_PX = 110
LETTER_PX = 18
SEED = 0  # of which faces are drawn
PAPER, INK = "#FAFAF7", "#222222"


def write_contact_sheet(faces: FaceSet, path: Path) -> None:
    """Write a PNG with a row of randomly drawn faces for each class, name and count at its left.

    Args:
        faces: The set.
        path: The PNG to write.

    Raises:
        OutputError: The path cannot be written, or does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"Cannot write {path}: the name of a contact sheet must end in .png.")
    step = TILE_PX + GAP_PX
    size = (NAME_PX + FACES_A_ROW * step + GAP_PX, len(faces.label_names) * step + GAP_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = ImageFont.load_default(LETTER_PX), ImageFont.load_default(LETTER_PX * 2 // 3)
    random = np.random.default_rng(SEED)
    for row, name in enumerate(faces.label_names):
        top = GAP_PX + row * step
        members = np.flatnonzero(faces.labels == row)
        draw.text((GAP_PX * 3, top + TILE_PX / 2 - LETTER_PX), name, fill=INK, font=fonts[0])
        draw.text((GAP_PX * 3, top + TILE_PX / 2 + GAP_PX), counted(len(members), "face"), fill=INK, font=fonts[1])
        drawn = random.choice(members, min(FACES_A_ROW, len(members)), replace=False)
        for column, member in enumerate(drawn):
            tile = Image.fromarray(np.asarray(faces.faces_u8[member])).resize(
                (TILE_PX, TILE_PX), Image.Resampling.BICUBIC
            )
            sheet.paste(tile, (NAME_PX + column * step, top))
    with written_beside(path) as beside:
        sheet.save(beside)
