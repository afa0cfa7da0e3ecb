"""What an evaluation found, as tables for the terminal."""

from rich.table import Column, Table
from rich.text import Text

from mien.apps.cli.show import megabytes, numbers_right, out, percent
from mien.evaluation.comparison import Comparison, Interval, SeedSummary
from mien.evaluation.cost import Cost
from mien.evaluation.metrics import Averages, ClassScores, Evaluation, SubsetScore
from mien.evaluation.results import ModelResults, Results
from mien.evaluation.subgroups import Subgroups
from mien.words import counted

FITTED_HERE = "calibration and “sure” were fitted on these very faces, which are no test of them"
GROUPS_SHOWN = 6  # of an attribute with more groups, those at either end


def print_results(results: Results) -> None:
    """Print one model in full, several side by side."""
    for sentence in results.warnings:
        out.print(sentence, style="bold red", soft_wrap=True)
    for one in results.models:
        if one.evaluation.collapsed:
            _print_collapsed(one.evaluation)
    if len(results.models) == 1:
        _print_one(results.models[0])
    else:
        setting = results.setting
        out.print(
            f"{len(results.models)} models on {setting.data} {setting.split}, n = {setting.n:,}, "
            f"{counted(setting.views, 'view')}; ± is one standard error",
            soft_wrap=True,
        )
        out.print(_side_by_side(results.models))
        if fitted := [one.evaluation.model for one in results.models if one.fitted_here]:
            out.print(f"{', '.join(fitted)}: {FITTED_HERE}", soft_wrap=True)
        if results.models[0].subsets:
            out.print(_subsets(results.models))
        out.print(_f1_by_class(results.models))
        out.print(_comparisons(results.comparisons))
        for summary in results.over_seeds:
            _print_seeds(summary)
    if results.models[0].stress:
        out.print(_stress(results.models))
    for one in results.models:
        for by in one.subgroups:
            _print_gap(one.evaluation.model, by)
            if len(results.models) == 1:
                out.print(_groups(by))
                if note := _groups_left_out(by, one.evaluation.n):
                    out.print(note, soft_wrap=True)
    out.print(_costs(results))
    if results.costs[0].timings:
        out.print(_timings(results.costs))
        out.print(
            f"on {results.setting.processor}; compare the models with each other, not with other machines",
            soft_wrap=True,
        )


def _print_collapsed(evaluation: Evaluation) -> None:
    called = max(scores.called for scores in evaluation.classes)
    out.print(
        f"{evaluation.model} has collapsed: it calls {called:,} of {counted(evaluation.n, 'face')} "
        f"{evaluation.collapsed}.",
        style="bold red",
        soft_wrap=True,
    )


def _print_one(one: ModelResults) -> None:
    evaluation = one.evaluation
    out.print(
        f"{evaluation.model} on {evaluation.data} {evaluation.split}, n = {evaluation.n:,}, "
        f"{counted(evaluation.views, 'view')}: accuracy {_accuracy(evaluation)} (± one standard error), "
        f"macro F1 {one.macro_f1.value:.3f} (95 % {one.macro_f1.low:.3f} to {one.macro_f1.high:.3f})",
        soft_wrap=True,
    )
    for line in _further(one):
        out.print(line, soft_wrap=True)
    out.print(_classes(evaluation))
    out.print(_confusion(evaluation))


def _further(one: ModelResults) -> list[str]:
    """Return a line for each number beside the accuracy."""
    confidence = one.evaluation.confidence
    lines = [f"{subset.name}, n = {subset.n:,}: accuracy {_accuracy(subset)}" for subset in one.subsets]
    lines.append(
        f"label among the two likeliest: {percent(one.evaluation.top2)}; expected calibration error: "
        f"{percent(confidence.expected_calibration_error)}"
    )
    if sure := confidence.sure:
        right = "" if sure.accuracy is None else f", {percent(sure.accuracy)} of them right"
        lines.append(f"sure (from {percent(sure.threshold)}) of {percent(sure.coverage)} of the faces{right}")
    if one.fitted_here:
        lines.append(FITTED_HERE)
    if absent := [scores.label for scores in one.evaluation.classes if not scores.support]:
        lines.append(f"no face here is {' or '.join(absent)}, which counts as 0 in the macro averages")
    if one.left_out:
        lines.append(f"it also knows {', '.join(one.left_out)}, which these faces have not; shared out among the rest")
    return lines


def _classes(evaluation: Evaluation) -> Table:
    """Return the layout of the papers' tables."""
    table = Table("class", "precision", "recall", "F1", "support")

    def row(name: str, scores: ClassScores | Averages, support: int, *, last: bool = False) -> None:
        numbers = (f"{value:.3f}" for value in (scores.precision, scores.recall, scores.f1))
        table.add_row(name, *numbers, f"{support:,}", end_section=last)

    for k, scores in enumerate(evaluation.classes, 1):
        row(scores.label, scores, scores.support, last=k == len(evaluation.classes))
    table.add_row("accuracy", "", "", f"{evaluation.accuracy:.3f}", f"{evaluation.n:,}")
    row("macro avg", evaluation.macro, evaluation.n)
    row("weighted avg", evaluation.weighted, evaluation.n)
    return numbers_right(table)


def _confusion(evaluation: Evaluation) -> Table:
    """Return the counts, the diagonal bold, and under each row its shares."""
    table = Table("is ╲ called", *evaluation.labels)
    for index, (name, row) in enumerate(zip(evaluation.labels, evaluation.confusion, strict=True)):
        table.add_row(name, *(Text(str(n), style="bold" if index == k else "") for k, n in enumerate(row)))
        table.add_row("", *(Text(f"{n / max(sum(row), 1):.2f}", style="dim") for n in row))
    return numbers_right(table)


def _side_by_side(models: tuple[ModelResults, ...]) -> Table:
    table = Table(Column("model", overflow="fold"), "accuracy", "macro F1", "top 2", "ECE", "sure")
    for one in models:
        evaluation = one.evaluation
        sure = evaluation.confidence.sure
        table.add_row(
            evaluation.model,
            _accuracy(evaluation),
            f"{one.macro_f1.value:.3f}",
            percent(evaluation.top2),
            percent(evaluation.confidence.expected_calibration_error),
            percent(sure.coverage) if sure else "–",
        )
    return numbers_right(table)


def _subsets(models: tuple[ModelResults, ...]) -> Table:
    """Return the accuracies on fairer faces, which all models share."""
    table = Table(
        Column("model", overflow="fold"), *(f"{subset.name}, n = {subset.n:,}" for subset in models[0].subsets)
    )
    for one in models:
        table.add_row(one.evaluation.model, *(_accuracy(subset) for subset in one.subsets))
    return numbers_right(table)


def _f1_by_class(models: tuple[ModelResults, ...]) -> Table:
    table = Table(Column("F1", overflow="fold"), *models[0].evaluation.labels)
    for one in models:
        table.add_row(one.evaluation.model, *(f"{scores.f1:.3f}" for scores in one.evaluation.classes))
    return numbers_right(table)


def _comparisons(comparisons: tuple[Comparison, ...]) -> Table:
    table = Table("second against first", "points", "95 % interval", "McNemar p", "p (Holm)")
    for pair in comparisons:
        table.add_row(
            f"{pair.second} against {pair.first}",
            *_points(pair.accuracy_gain),
            *("< 0.001" if p < 0.001 else f"{p:.3f}" for p in (pair.p_value, pair.p_holm)),
        )
    return numbers_right(table)


def _stress(models: tuple[ModelResults, ...]) -> Table:
    """Return what each condition leaves of each model's accuracy, and what it takes."""
    title = f"The same {counted(models[0].evaluation.n, 'face')} under each condition"
    table = Table("condition", Column("model", overflow="fold"), "accuracy", "points", "95 % interval", title=title)
    for of_models in zip(*(one.stress for one in models), strict=True):
        for one, under in zip(models, of_models, strict=True):
            table.add_row(
                under.score.name,
                one.evaluation.model,
                _accuracy(under.score),
                *_points(under.gain),
                end_section=len(models) > 1 and one is models[-1],
            )
    return numbers_right(table)


def _print_seeds(summary: SeedSummary) -> None:
    out.print(
        f"{summary.recipe} over {len(summary.seeds)} seeds: accuracy {percent(summary.accuracy_mean)} ± "
        f"{100 * summary.accuracy_sd:.1f}, macro F1 {summary.macro_f1_mean:.3f} ± {summary.macro_f1_sd:.3f} "
        "(mean ± sd)",
        soft_wrap=True,
    )


def _print_gap(model: str, by: Subgroups) -> None:
    out.print(
        f"{model} by {by.attribute}: largest gap {100 * by.gap:.1f} points, {by.groups[0].group} against "
        f"{by.groups[-1].group}; chance gives one as large in {percent(by.p_value)} of the cases",
        soft_wrap=True,
    )


def _groups(by: Subgroups) -> Table:
    table = Table(by.attribute, "faces", "accuracy", "95 % interval")
    shown = by.groups
    if len(shown) > 2 * GROUPS_SHOWN:
        shown = (*shown[:GROUPS_SHOWN], *shown[-GROUPS_SHOWN:])
    for group in shown:
        interval = f"{percent(group.low)} to {percent(group.high)}"
        table.add_row(group.group, f"{group.n:,}", percent(group.accuracy), interval)
    return numbers_right(table)


def _groups_left_out(by: Subgroups, faces: int) -> str:
    """Return which groups and faces the table does not show; nothing if it shows all."""
    notes = []
    if len(by.groups) > 2 * GROUPS_SHOWN:
        notes.append(f"the {GROUPS_SHOWN} best and the {GROUPS_SHOWN} worst of {len(by.groups)} groups")
    if by.unnamed:
        notes.append(f"{by.unnamed:,} of {counted(faces, 'face')} have no value of {by.attribute}")
    return "; ".join(notes)


def _costs(results: Results) -> Table:
    """Return accuracy and cost in one table."""
    table = Table(Column("model", overflow="fold"), "accuracy", "parameters", "MACs", "file")
    for one, cost in zip(results.models, results.costs, strict=True):
        macs = "unknown" if cost.macs is None else f"{cost.macs / 1e6:,.1f} M"
        size = "not exported" if cost.file_bytes is None else megabytes(cost.file_bytes)
        table.add_row(cost.model, _accuracy(one.evaluation), f"{cost.parameters:,}", macs, size)
    return numbers_right(table)


def _timings(costs: tuple[Cost, ...]) -> Table:
    table = Table(Column("model", overflow="fold"), "threads", "batch", "median ms", "faces/s")
    for cost in costs:
        for timing in cost.timings:
            numbers = (f"{timing.threads}", f"{timing.batch}", f"{timing.median_ms:.2f}", f"{timing.faces_per_s:,.0f}")
            table.add_row(cost.model, *numbers, end_section=timing is cost.timings[-1])
    return numbers_right(table)


def _accuracy(scores: Evaluation | SubsetScore) -> str:
    return f"{percent(scores.accuracy)} ± {100 * scores.standard_error:.1f}"


def _points(gain: Interval) -> tuple[str, str]:
    """Return a difference of accuracies in points, and its interval."""
    return f"{100 * gain.value:+z.1f}", f"{100 * gain.low:+z.1f} to {100 * gain.high:+z.1f}"
