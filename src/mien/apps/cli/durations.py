"""Durations as people type them: 0.2, 0.2s, 200ms."""

import re

from mien.errors import InputError

DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|ms|)")


def seconds(option: str, text: str) -> float:
    """Return a duration in seconds.

    Raises:
        InputError: It is none; the sentence names the option.
    """
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{option} {text} is no duration; write, for instance, 0.2s or 200ms.")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)
