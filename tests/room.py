"""Where the tests keep what they throw away: in memory where there is room, else where the system says.

A database of its own for each test is made of some 650 files: a third of a second on a disk, a thirtieth in memory.
"""

import os
import shutil

_SHARED_MEMORY = "/dev/shm"
_ENOUGH = 4 << 30
"""Bytes free."""


def in_memory() -> str | None:
    """A folder in memory, where programs may be run too; None where there is none."""
    if not os.access(_SHARED_MEMORY, os.W_OK) or os.statvfs(_SHARED_MEMORY).f_flag & os.ST_NOEXEC:
        return None
    free = min(shutil.disk_usage(_SHARED_MEMORY).free, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return _SHARED_MEMORY if free > _ENOUGH else None
