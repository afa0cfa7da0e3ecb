"""Where the time of a training step goes, operator by operator.

    python benchmarks/training_profile.py FACESET [RECIPE ...]

Some steps of the recipe (augmentation, network, loss, backward, optimiser) run under torch's profiler; its self times
are summed by kind of operator. Run it on a quiet machine.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile, record_function

from mien.data.faceset import open_faceset
from mien.models.registry import build
from mien.training.batches import TrainingBatches
from mien.training.environment import native_bf16
from mien.training.memory import keep_freed_memory
from mien.training.module import TrainingModule
from mien.training.optimiser import make_optimiser
from mien.training.recipe_files import load_recipe
from mien.training.targets import make_targets

STEPS = 6
KINDS = (  # the first pattern that an operator's name matches decides
    ("convolution", r"conv|mkldnn_reorder"),
    ("batch norm", r"batch_norm"),
    ("pooling", r"pool"),
    ("activation", r"gelu|relu|threshold"),
    ("affine and optimiser's products", r"addmm|::mm|matmul|bmm|baddbmm"),
    ("augmentation's sampling", r"grid_sampl|affine_grid"),
    ("copies and casts", r"copy_|::to|_to_copy|contiguous|clone"),
    ("sums, products and the rest", r""),
)


def kind_of(operator: str) -> str:
    return next(kind for kind, pattern in KINDS if re.search(pattern, operator))


def main() -> None:
    keep_freed_memory()  # as a training does
    faces = open_faceset(Path(sys.argv[1])).split("Training").take(slice(0, 256 * (STEPS + 2)))
    columns: dict[str, Counter[str]] = {}
    for name in sys.argv[2:] or ["mien-s"]:
        recipe = load_recipe(name)
        spec = recipe.input.spec()
        torch.manual_seed(0)
        network = build(recipe.network, channels=spec.channels, classes=7, view_px=spec.view_px)
        module = TrainingModule(network, recipe, spec, torch.ones(7))
        optimiser = make_optimiser(network, recipe.optimiser)
        batches = TrainingBatches(
            np.asarray(faces.faces_u8),
            make_targets(faces, recipe.targets),
            batch_size=recipe.batch_size,
            seed=0,
            flip=recipe.augmentation.flip,
        )
        times: Counter[str] = Counter()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _, batch in zip(range(STEPS), batches, strict=False):
                with torch.autocast("cpu", torch.bfloat16, enabled=native_bf16()), record_function("step"):
                    loss = module.training_step(batch, 0)["loss"]
                loss.backward()
                optimiser.step()
                optimiser.zero_grad()
        for event in profiler.key_averages():
            times[kind_of(event.key)] += event.self_cpu_time_total
        columns[name] = times
    table = Table("share of a step's time", *columns, title=f"{torch.get_num_threads()} threads")
    for kind, _ in KINDS:
        table.add_row(kind, *(f"{times[kind] / times.total():.0%}" for times in columns.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
