"""Durations as people type them: 0.2, 0.2s, 200ms, 90m, 2h."""

import re

from mien.errors import InputError

UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
DURATION = re.compile(rf"(\d+(?:\.\d*)?|\.\d+)\s*({'|'.join(UNITS_S)})")


def seconds(option: str, text: str) -> float:
    """Return a duration in seconds.

    Raises:
        InputError: It is none; the sentence names the option.
    """
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{option} {text} is no duration; write, for instance, 0.2s, 200ms or 2h.")
    return float(match[1]) * UNITS_S[match[2]]


def in_words(seconds: float) -> str:
    """Return about how long it is: "40 s", "12 min", "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
