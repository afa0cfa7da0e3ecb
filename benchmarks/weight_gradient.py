"""When a convolution learns faster by matrix products: oneDNN's way against ours, by side of the map.

    python benchmarks/weight_gradient.py

The gradient of the weights of 3x3 convolutions, bf16, batches of 256, one thread; the two ways by turns, five rounds,
medians of the processor's time. Only on a processor with AMX does mien use its own way.
"""

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from mien.models.convolution import FEW_CHANNELS, SMALL_MAP_PX, has_matrix_unit, weight_gradient
from mien.training.memory import keep_freed_memory

SHAPES = ((320, 320), (192, 192), (96, 192), (96, 96))  # channels in and out, as in mien-s
SIDES = (4, 5, 6, 8, 9, 11, 12)
ROUNDS, BATCH = 5, 256


def milliseconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does
    table = Table("side", *(f"{i} → {o}" for i, o in SHAPES), title="oneDNN's time / ours (above 1: ours is faster)")
    for side in SIDES:
        ratios = []
        for channels_in, channels_out in SHAPES:
            x, gradient = (
                torch.randn(BATCH, c, side, side).bfloat16().to(memory_format=torch.channels_last)
                for c in (channels_in, channels_out)
            )
            weight = torch.randn(channels_out, channels_in, 3, 3).bfloat16().to(memory_format=torch.channels_last)

            def onednn(x: torch.Tensor = x, gradient: torch.Tensor = gradient, weight: torch.Tensor = weight) -> None:
                torch.ops.aten.convolution_backward(
                    gradient, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
                )

            def ours(x: torch.Tensor = x, gradient: torch.Tensor = gradient) -> None:
                weight_gradient(x, gradient, kernel=3)

            onednn(), ours()
            rounds = [(milliseconds(onednn), milliseconds(ours)) for _ in range(ROUNDS)]
            first, second = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratios.append(f"{first / second:.2f}")
        table.add_row(f"{side}" + (" *" if side <= SMALL_MAP_PX else ""), *ratios)
    unit = "AMX" if has_matrix_unit() else "no AMX"
    console = Console()
    console.print(table)
    console.print(f"* where mien takes its own way, from {FEW_CHANNELS} channels on; this processor has {unit}")


if __name__ == "__main__":
    main()
