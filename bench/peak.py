"""The peak memory of this process alone. What the system tells of an ended child begins with its parent's."""

from pathlib import Path


def peak_megabytes() -> float:
    """The most that was resident since the program was started (Linux: VmHWM, which begins anew at exec)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
