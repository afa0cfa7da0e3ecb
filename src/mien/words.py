"""Numbers in sentences."""


def counted(n: int, noun: str) -> str:
    """Return "1 face", "2 faces", "3,589 faces"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
