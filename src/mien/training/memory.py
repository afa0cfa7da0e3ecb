"""The allocator of a training process: memory that is freed is kept for the next step."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for itself; other C libraries are left as they are.

    It gives large blocks back to the system, which hands them out again page by page, each filled with zeros: a
    tenth of a training step of mien-s, whose maps are freed and allocated anew in every step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
