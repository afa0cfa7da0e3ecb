"""What a study file may say, and which trainings it comes to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import StudyError
from mien.studies.plan import Stage, plan
from mien.studies.study import Study, load_study, study_files
from tests.small_study import BASE


def test_every_study_of_the_package_can_be_planned() -> None:
    counts = {name: len(plan(load_study(name))) for name in study_files()}
    assert counts == {"alizadeh": 4, "barbagallo": 8, "holman": 3, "jawade": 4, "maes-lange": 24}


def test_24_trainings_serve_the_48_rows() -> None:
    study = load_study("maes-lange")
    rows = [row for table in study.tables for row in table.rows if row.run]
    assert len(rows) == 48
    trainings = {training.of: training for training in plan(study)}
    assert {(row.run, row.epochs or 100) for row in rows} == {(name, n) for name in trainings for n in (50, 100)}
    for row in rows:
        recipe = trainings[row.run or ""].recipe
        epochs, lr, convs, fc = row.name
        assert (recipe.optimiser.lr, recipe.network) == (float(lr), f"maes-lange-{convs}-{fc}")
        assert (row.epochs or recipe.epochs) == int(epochs)
    assert trainings["sgd-5-5-lr-0.1"].stages == (Stage(50, 50),)


def test_a_recipe_beside_the_study_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tiny.yaml").write_text(BASE)
    (tmp_path / "mine" / "other.yml").write_text(BASE.replace("epochs: 4", "epochs: 5"))
    variants = "variants: {one: {}, two: {recipe: other.yml}, three: mien-xs}"
    path = tmp_path / "mine" / "study.yaml"
    path.write_text(f"name: mine\nabout: Beside.\npaper: None.\nbase: tiny.yaml\n{variants}\n")
    monkeypatch.chdir(tmp_path)
    study = load_study("mine/study.yaml")
    monkeypatch.chdir("/")
    assert [training.recipe.name for training in plan(study)] == ["tiny", "tiny", "mien-xs"]
    assert [training.epochs for training in plan(study)][:2] == [4, 5]


def test_a_grid_is_every_combination_and_every_seed(make_study: Callable[..., Study]) -> None:
    grid = {"optimiser.momentum": [0.0, 0.9], "batch_size": [35, 70]}
    study = make_study(grid=grid, seeds=[3, 4], tables=[], comparisons=[])
    trainings = plan(study)
    assert len(trainings) == 2 * 2 * 2 * 2
    assert len({training.name for training in trainings}) == 16
    one = next(training for training in trainings if training.name == "slow-momentum-0.9-batch_size-70-seed-4")
    assert one.of == "slow-momentum-0.9-batch_size-70"
    assert (one.recipe.optimiser.lr, one.recipe.optimiser.momentum) == (0.01, 0.9)
    assert (one.recipe.batch_size, one.recipe.seed) == (70, 4)


def test_a_scaled_study_keeps_what_it_should_have_been(make_study: Callable[..., Study]) -> None:
    fast = plan(make_study(), scale=0.5)[1]
    assert (fast.recipe.epochs, fast.epochs, fast.scaled) == (2, 4, True)
    assert fast.stages == (Stage(2, 1),)
    assert plan(make_study(), scale=0.01)[1].recipe.epochs == 1, "one epoch at least"


def test_changes_are_for_every_recipe_and_never_the_length(make_study: Callable[..., Study]) -> None:
    assert {t.recipe.label_smoothing for t in plan(make_study(), changes=["label_smoothing=0.3"])} == {0.3}
    with pytest.raises(StudyError, match="with --epochs-scale, which marks every number; not with --set"):
        plan(make_study(), changes=["epochs=2"])


def test_seeds_are_the_studys_own(make_study: Callable[..., Study]) -> None:
    """As settings they would be overwritten by the study's, and the report would name seeds that nobody trained."""
    for study, changes in (
        (make_study(), ["seed=7"]),
        (make_study(grid={"seed": [0, 1]}, tables=[], comparisons=[]), []),
        (make_study(variants={"slow": {"set": {"seed": 3}}, "fast": {}}), []),
    ):
        with pytest.raises(StudyError, match="A study's seeds are its `seeds"):
            plan(study, changes=changes)


def _table(printed: str, measure: str) -> dict[str, object]:
    columns, rows = [{"name": "A", "measure": measure}], [{"name": "r", "run": "fast", "printed": printed}]
    return {"title": "T", "columns": columns, "rows": rows}


ANGRY = {"name": "angry", "of": "angry", "run": "fast", "printed": "0.5"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tabels": []}, "no key 'tabels'; did you mean tables"),
        ({"variants": {"slow": {"sett": {}}, "fast": {}}}, "no key 'sett'; did you mean set"),
        ({"tables": [{"title": "T", "columns": [{"name": "A"}], "rows": [{"name": "r", "printed": []}]}]}, "0 values"),
        (
            {"tables": [{"title": "T", "columns": [{"name": "A"}], "rows": [{"name": "r", "printed": 0.5}]}]},
            "in quotes",
        ),
        ({"tables": [_table("n/a", "accuracy")]}, "'n/a' is no number to compare with"),
        ({"tables": [_table("63,4 %", "accuracy")]}, "is no number"),
        (
            {"tables": [_table("64.42", "accuracy")]},
            r"'64.42' is above 1, the most that accuracy can be; is it 64.42%\?",
        ),
        ({"tables": [{**_table("0.5", "accuracy"), "rows": [ANGRY]}]}, "of a class, .* its recall"),
        ({"seeds": [1, 1]}, "each once"),
        ({"variants": {"slow": {}, "fast": {}, "a/b": {}}}, "cannot be a folder's name"),
        ({"variants": {"slow": {}, "fast": {}, "../x": {}}}, "cannot be a folder's name"),
        ({"variants": {"slow": {}, "fast": {}, "": {}}}, "cannot be a folder's name"),
        ({"variants": {"slow": {}, "fast": {}, "fast-after-2": {}}}, "two trainings or states called fast-after-2"),
        ({"tables": [], "comparisons": [], "grid": {"batch_size": [8, 8]}}, "called slow-batch_size-8"),
        ({"paper": ""}, "paper"),
        ({"tables": [], "comparisons": [{"says": "x", "first": "fat", "second": "fast"}]}, "no run 'fat'"),
        ({"tables": [], "comparisons": [], "winners": {"best": {"among": "x*"}}}, "no run is called like 'x\\*'"),
        (
            {"variants": {"slow": {}, "fast": {"set": {"data.validate_on": "other"}}}},
            "slow validates on PublicTest and fast on other",
        ),
    ],
)
def test_what_a_study_cannot_say_is_one_sentence(
    make_study: Callable[..., Study], changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(StudyError, match=sentence):
        plan(make_study(**changes))


def test_an_unknown_study_names_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study 'barbagalo'; did you mean barbagallo"):
        load_study("barbagalo")
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(StudyError, match=r"x\.yaml is not YAML"):
        load_study(str(tmp_path / "x.yaml"))


def test_a_state_before_the_end_needs_a_rate_that_knows_no_end(make_study: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match=r"depends on how long the whole is \(triangle"):
        plan(make_study(), changes=["schedule.name=triangle"])
    with pytest.raises(StudyError, match="a shorter training is one of its own"):
        plan(make_study(), changes=["schedule.warmup=0.1"])
    with pytest.raises(StudyError, match="early_px depends"):
        plan(make_study(), changes=["augmentation.early_px=36"])
    with pytest.raises(StudyError, match="light_share depends"):
        plan(make_study(), changes=["augmentation.light_share=0.1"])
    rows = [{"name": "x", "run": "fast", "epochs": 9, "printed": "1%"}]
    tables = [{"title": "T", "columns": [{"name": "A", "measure": "accuracy"}], "rows": rows}]
    with pytest.raises(StudyError, match="after 9 epochs; it is trained for 4"):
        plan(make_study(tables=tables))
