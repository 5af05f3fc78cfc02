"""Sizes as people read them."""

from __future__ import annotations

__all__ = ["show_bytes"]


def show_bytes(size_bytes: float) -> str:
    """Return a size for people: ``512 B``, ``1.4 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size_bytes) < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
