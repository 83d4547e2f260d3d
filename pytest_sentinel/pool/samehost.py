"""Whether two processes can hand each other files by their paths."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/ns/mnt")


def machine_identity() -> str:
    """Return what only processes of one user have in common that see the same file system.

    Empty where that cannot be known. A container sees other files than its host, and is told apart
    by its mount namespace; the number of the boot tells machines apart.
    """
    try:
        facts = f"{_BOOT.read_text().strip()} {_MOUNTS.stat().st_ino} {os.getuid()}"
    except (OSError, AttributeError):
        return ""
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
