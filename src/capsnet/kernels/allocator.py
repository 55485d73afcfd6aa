"""Heap settings of the C library that suit training steps."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_memory() -> None:
    """Disable glibc's heap trimming and mmap (`mallopt`), so that freed memory is reused.

    By default glibc maps every large tensor anew and returns it to the system when it is freed, so
    that each step pays for having the same pages zeroed and mapped again: up to half of its time.
    No mappings and no trimming means one heap that grows to the step's peak and stays there.
    Without glibc this does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
