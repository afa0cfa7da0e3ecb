"""Numbers in sentences."""


def whole_percent(share: float) -> str:
    """Return 0.713 as "71%"; what is not quite all or nothing is never rounded to it: ">99%", "<1%"."""
    if 0.995 <= share < 1:
        return ">99%"
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def counted(n: int, noun: str) -> str:
    """Return "1 face", "2 faces", "3,589 faces"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
