from pathlib import Path

import pytest

from mien.errors import RecipeError
from mien.models.registry import networks
from mien.training.recipe_files import load_recipe, recipe_files


@pytest.mark.parametrize("name", list(recipe_files()))
def test_every_recipe_of_the_package_loads_and_names_a_network(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.network in networks()
    assert recipe.data.validate_on != "PrivateTest"


def test_an_override_changes_one_value_and_the_hash() -> None:
    plain, changed = load_recipe("mien-s"), load_recipe("mien-s", ["optimiser.lr=0.01", "seed=3"])
    assert (changed.optimiser.lr, changed.seed) == (0.01, 3)
    assert changed.model_copy(update={"optimiser": plain.optimiser, "seed": plain.seed}) == plain
    assert plain.sha256() != changed.sha256()
    assert plain.sha256() == load_recipe("mien-s").sha256()
    assert plain.sha256() == load_recipe("mien-s", ["precision=auto"]).sha256(), "a default that is spelled out"


def test_a_written_recipe_reads_back_the_same(tmp_path: Path) -> None:
    recipe = load_recipe("mien-s", ["epochs=3"])
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimiser.lrr=1", "no key 'lrr'; did you mean lr"),
        ("epoch=3", "no key 'epoch'; did you mean epochs"),
        ("epochs=many", "epochs must be a whole number \\(got 'many'\\)"),
        ("epochs=0", "epochs must be 1 or more \\(got 0\\)"),
        ("optimiser.name=adamm", "optimiser.name must be .*'adamw' or 'muon' \\(got 'adamm'\\)"),
        ("epochs", "--set takes key=value"),
        ("epochs.deeper=1", "epochs is a single value"),
        ("input.view_px=45", "even margin"),
        ("input.mean=[0.5, 0.5]", "one value for each of 1 channels, .*; got 2 and 1"),
        ("network={convs: [{out: 8, kernal: 3}], affines: []}", "no key 'kernal'; did you mean kernel"),
        ("network={convs: [{kernel: 3}], affines: []}", "network.convs.0.out is missing"),
        ("optimiser=fast", "optimiser must be `key: value` lines"),
        ("input.std=[0]", "std is what pixels are divided by, and so above 0; got 0"),
        ("start={model: mien-s, file: x.onnx}", "`file` is where `weights` lie"),
        ("clip_norm=1", "clip_norm does nothing to muon"),
        ("augmentation.cutout_px=44", "hides the whole face"),
        ("data.validate_on=PrivateTest", "PrivateTest is for reporting"),
        ("data.validate_on=Training", "choose on other faces than those learnt from"),
        ("seed=[1", "--set seed=\\[1"),
    ],
)
def test_a_wrong_setting_is_one_clear_sentence(override: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe("mien-s", [override])


def test_an_unknown_recipe_lists_the_near_ones() -> None:
    with pytest.raises(RecipeError, match="no recipe 'mien-ss'; did you mean mien-s"):
        load_recipe("mien-ss")
    with pytest.raises(RecipeError, match="no recipe 'mien-tiny'; did you mean mien-.* mien-tiny is a network"):
        load_recipe("mien-tiny")
    with pytest.raises(RecipeError, match="no recipe file mien-ss.yaml; check the spelling"):
        load_recipe("mien-ss.yaml")


def test_a_base_may_be_a_file_beside_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (tmp_path / "long.yaml").write_text("base: mien-s\nname: long\nepochs: 99\n")
    (folder / "wide.yaml").write_text("base: ../long.yaml\nname: wide\nbatch_size: 512\n")
    recipe = load_recipe(str(folder / "wide.yaml"))
    assert (recipe.name, recipe.epochs, recipe.batch_size) == ("wide", 99, 512)
    (tmp_path / "long.yaml").write_text("base: mine/wide.yaml\nname: long\n")
    with pytest.raises(RecipeError, match=r"base: \.\./long.yaml is this recipe itself, or one that is based on it"):
        load_recipe(str(tmp_path / "long.yaml"))
    (tmp_path / "long.yaml").write_text("base: none.yaml\nname: long\n")
    with pytest.raises(RecipeError, match=r"Recipe long: base: There is no recipe file .*none\.yaml"):
        load_recipe(str(tmp_path / "long.yaml"))


def test_a_file_that_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(RecipeError, match="is not a recipe"):
        load_recipe(str(path))
    path.write_text("a: [1\n")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_recipe(str(path))
