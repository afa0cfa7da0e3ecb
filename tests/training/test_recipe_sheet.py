from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.contact_sheet import GAP_PX, NAME_PX, TILE_PX
from mien.data.faceset import FaceSet
from mien.errors import DataError, OutputError
from mien.training.recipe_files import load_recipe
from mien.training.recipe_sheet import HEADER_PX, LOOKS, write_recipe_sheet

STEP = TILE_PX + GAP_PX
NOTHING = [
    f"augmentation.{name}=0" for name in ("shift_px", "rotation_deg", "zoom", "brightness", "contrast", "cutout_px")
]


@pytest.mark.parametrize("flip", ["alternate", "random", "both", "none"])
def test_with_flips_alone_every_second_look_is_the_mirror_of_the_stored_face(
    flip: str, faceset: FaceSet, tmp_path: Path
) -> None:
    """And where a recipe does not mirror faces, no look is."""
    recipe = load_recipe("mien-s", [*NOTHING, "input.view_px=48", f"augmentation.flip={flip}"])
    write_recipe_sheet(faceset, recipe, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as opened:
        sheet = np.asarray(opened.convert("L"), int)
    for row in range(7):
        top = HEADER_PX + row * STEP
        lefts = [NAME_PX, *range(sheet.shape[1] - LOOKS * STEP, sheet.shape[1], STEP)]
        stored, *looks = (sheet[top : top + TILE_PX, left : left + TILE_PX] for left in lefts)
        for number, look in enumerate(looks):
            assert np.abs(look - (stored[:, ::-1] if number % 2 and flip != "none" else stored)).max() <= 2


def test_a_sheet_is_a_png_and_its_faces_fit_the_recipe(faceset: FaceSet, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"must end in \.png"):
        write_recipe_sheet(faceset, load_recipe("mien-s"), tmp_path / "sheet.jpg")
    with pytest.raises(DataError, match=r"prepare the faces with --size 64 --colour grey"):
        write_recipe_sheet(faceset, load_recipe("mien-s", ["input.face_px=64"]), tmp_path / "sheet.png")
