"""`mien models`: the models that ship, and the networks that can be trained."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from mien.apps.cli import show
from mien.classifier import Classifier
from mien.errors import MissingExtraError, ModelError, install_command, unknown_name
from mien.weights import DEFAULT_MODEL, bundled_models
from mien.words import counted


def models(
    name: Annotated[
        str | None, typer.Argument(help="A model, a network or an .onnx file, to see its card and layers.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that ship and the networks that can be trained, or show one."""
    known = {model: _about(path) for model, path in bundled_models().items()}
    if name is None:
        _list(known, _networks(), json=json)
    elif name.endswith(".onnx"):
        _show(name, _about(name), json=json)
    elif Path(name).is_dir() and name not in known | _networks():
        raise ModelError(f"{name} is a folder: `mien evaluate` scores a run, and `mien export` makes a model of it.")
    else:
        _show(name, known.get(name), json=json)


def _about(model: str | Path) -> dict[str, Any]:
    """Return a model's card, and the size of its file."""
    opened = Classifier(model)
    return {**opened.card.as_dict(), "file_bytes": opened.path.stat().st_size}


def _networks() -> dict[str, dict[str, Any]]:
    """Return each trainable network's source, parameters and MACs; none where torch is not installed."""
    try:
        with show.needs("train"):
            from mien.models.registry import networks
            from mien.models.summary import layers_of
    except MissingExtraError:
        return {}
    rows = {}
    for name, entry in networks().items():
        layers = layers_of(name, channels=entry.channels, classes=entry.classes, view_px=entry.view_px)
        rows[name] = {
            "source": entry.source,
            "grammar": str(entry.grammar) if entry.grammar else None,
            "view_px": entry.view_px,
            "channels": entry.channels,
            "classes": entry.classes,
            "parameters": sum(layer.parameters for layer in layers),
            "macs": sum(layer.macs for layer in layers),
            "layers": [asdict(layer) for layer in layers],
        }
    return rows


def _list(cards: dict[str, dict[str, Any]], networks: dict[str, dict[str, Any]], *, json: bool) -> None:
    if json:
        brief = {name: {k: v for k, v in row.items() if k != "layers"} for name, row in networks.items()}
        print(json_format.dumps({"default": DEFAULT_MODEL, "bundled": cards, "networks": brief}, indent=2))
        return
    columns = ("file", "accuracy", "parameters", "MACs", "unsure")
    bundled = Table(show.whole("model", cards), *columns, title="Ready to read with")
    for name, card in sorted(cards.items(), key=lambda item: (item[1]["parameters"], -item[1]["file_bytes"])):
        score, calibration = card["score"], card["calibration"]
        bundled.add_row(
            name,
            show.megabytes(card["file_bytes"]),
            show.accuracy(score["accuracy"], score["n"]),
            f"{card['parameters'] / 1e6:.2f} M",
            f"{card['macs'] / 1e6:.1f} M",
            f"< {show.percent(calibration['unsure_below'])}" if calibration else "never",
        )
    show.out.print(show.numbers_right(bundled))
    show.out.print(
        f"`mien read` uses {DEFAULT_MODEL} unless --model says otherwise. Accuracies are those on the faces that each "
        "was chosen by; `mien models NAME` shows the whole card."
    )
    if not networks:
        show.out.print(f"Networks to train come with, in mien's folder: {install_command('train')}", soft_wrap=True)
        return
    table = Table(show.whole("network", networks), "parameters", "MACs", "input", "source", title="Ready to be trained")
    for name, row in networks.items():
        size = f"{row['view_px']} px {'RGB' if row['channels'] == 3 else 'grey'}"
        table.add_row(name, f"{row['parameters']:,}", f"{row['macs'] / 1e6:.1f} M", size, row["source"])
    show.out.print(show.numbers_right(table, 1, 2))


def _show(name: str, card: dict[str, Any] | None, *, json: bool) -> None:
    networks = {} if name.endswith(".onnx") else _networks()
    if card is None and name not in networks:
        more = "" if networks else f" Networks to train come with, in mien's folder: {install_command('train')}"
        raise ModelError(unknown_name("model", name, {*bundled_models(), *networks}) + more)
    network = networks.get(name)
    if json:
        print(json_format.dumps({"name": name, "card": card, "network": network}, indent=2))
        return
    if card:
        _print_card(name, card)
    if network:
        table = Table("layer", "kind", "output", "parameters", "MACs", title=f"Layers of {name}")
        for layer in network["layers"]:
            shape = "x".join(str(side) for side in layer["shape"])
            table.add_row(layer["name"], layer["kind"], shape, f"{layer['parameters']:,}", f"{layer['macs']:,}")
        table.add_section()
        table.add_row("all", "", "", f"{network['parameters']:,}", f"{network['macs']:,}")
        show.out.print(show.numbers_right(table, 3, 4))
        if network["grammar"]:
            show.out.print(network["grammar"], soft_wrap=True, markup=False, highlight=False)
        show.out.print(
            f"Counted for {'RGB' if network['channels'] == 3 else 'grey'} faces of {network['view_px']} px and "
            f"{network['classes']} classes. Source: {network['source']}."
        )


def _print_card(name: str, card: dict[str, Any]) -> None:
    score, made, calibration = card["score"], card["provenance"], card["calibration"]
    show.out.print(f"{name}: {', '.join(card['labels'])}", style="bold", soft_wrap=True)
    size = f"{card['parameters']:,} parameters, {card['macs'] / 1e6:.1f} M multiply-accumulates"
    show.out.print(f"  network      {card['network']}, {size}")
    show.out.print(f"  file         {show.megabytes(card['file_bytes'])}")
    show.out.print(
        f"  accuracy     {show.accuracy(score['accuracy'], score['n'])} on {counted(score['n'], 'face')} of "
        f"{score['split']}"
    )
    show.out.print("  recall")
    for label, recall in zip(card["labels"], score["recall"], strict=True):
        show.out.print(f"    {label:<10} {show.percent(recall) if recall is not None else 'not in it'}")
    if calibration:
        show.out.print(
            f"  calibration  error {show.percent(calibration['ece_before'])} before, "
            f"{show.percent(calibration['ece_after'])} after; unsure below {show.percent(calibration['unsure_below'])}"
        )
    show.out.print(
        f"  made by      recipe {made['recipe']}, {counted(made['epochs'], 'epoch')}, seed {made['seed']}, "
        f"{made['data']}, from {made['start']}"
    )
    show.out.print(f"  licence      {card['licence']}")
    show.out.print(card["limits"], style="dim")
