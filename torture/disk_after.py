"""What may be on a disk after the power is lost: everything synced, and anything of the rest.

The model, which is that of the crash tests of SQLite and LevelDB, for a filesystem that journals its names:

- a step that changes names happens wholly or not at all; not before the steps on the same names that came earlier, but
  in any order with all others; and surely once a folder that it changed was synced;
- bytes written and not synced may be there, or not, or some sectors of them, in any order; a file may have grown
  without them, and then hold zeros or what the disk held before;
- a sector of 512 bytes is written wholly or not at all, and writing one does no harm to its neighbours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from torture.tape import Mark, Named, Step, Synced, SyncedFolder, Tape, Together, Written

__all__ = ["DiskAfter", "Files", "lay_out"]

Files: TypeAlias = dict[str, bytes | None]
"""Bytes by path; None is a folder."""

_SECTOR: Final = 512


class DiskAfter:
    """A disk that took steps and may lose its power now.

    Args:
        before: Steps that are on the disk for sure.
    """

    def __init__(self, before: Sequence[Step] = ()) -> None:
        self._names: list[tuple[Named, bool]] = []  # and whether it is on the disk
        self._is_folder: dict[int, bool] = {Tape.ROOT: True}
        self._safe: dict[int, bytes] = {}
        self._loose: dict[int, list[Written]] = {}
        for step in before:
            self.take(step)
        self._names = [(named, True) for named, _ in self._names]
        for node in list(self._loose):
            self.take(Synced(node))

    def take(self, step: Step) -> None:
        """Take the next step."""
        match step:
            case Named():
                self._names.append((step, False))
                self._is_folder.update(step.made)
            case Written():
                self._loose.setdefault(step.node, []).append(step)
            case Synced():
                self._safe[step.node] = self._content(step.node, _all_of)
                self._loose.pop(step.node, None)
            case SyncedFolder():
                self._names = _settled(self._names, step.node)
            case Together():
                for part in step.steps:
                    self.take(part)
            case Mark():
                pass

    def extremes(self) -> list[Files]:
        """Return what is left when of names and of bytes either nothing that was not synced is there, or all."""
        return [
            self._files(self._chosen(partial(bool, has_names)), how)
            for has_names in (False, True)
            for how in (_none_of, _all_of)
        ]

    def drawn(self, chance: random.Random) -> Files:
        """Return something between."""
        kept = chance.choice([0.1, 0.5, 0.9])
        return self._files(self._chosen(lambda: chance.random() < kept), _drawn_from(chance))

    def _chosen(self, draw: Callable[[], bool]) -> list[Named]:
        """Return steps on names: all on the disk, and of the others those drawn that do not skip one before them."""
        chosen: list[Named] = []
        skipped: set[tuple[int, str]] = set()
        for named, is_safe in self._names:
            keys = {(folder, name) for folder, name, _ in named.changes}
            if is_safe or (not keys & skipped and draw()):
                chosen.append(named)
            else:
                skipped |= keys
        return chosen

    def _files(self, chosen: list[Named], how: _How) -> Files:
        names: dict[int, dict[str, int]] = {}
        for named in chosen:
            for folder, name, node in named.changes:
                if node is None:
                    names.get(folder, {}).pop(name, None)
                else:
                    names.setdefault(folder, {})[name] = node
        files: Files = {}
        folders = [(Tape.ROOT, "")]
        while folders:
            folder, place = folders.pop()
            for name, node in names.get(folder, {}).items():
                path = f"{place}{name}"
                if self._is_folder[node]:
                    files[path] = None
                    folders.append((node, f"{path}/"))
                else:
                    files[path] = self._content(node, how)
        return files

    def _content(self, node: int, how: _How) -> bytes:
        content = self._safe.get(node, b"")
        for written in self._loose.get(node, ()):
            content = how(content, written)
        return content


_How: TypeAlias = Callable[[bytes, Written], bytes]


def _settled(names: list[tuple[Named, bool]], folder: int) -> list[tuple[Named, bool]]:
    """Return steps on names after the sync of a folder; what a safe step rests upon is safe with it."""
    settled: list[tuple[Named, bool]] = []
    needed: set[tuple[int, str]] = set()
    for named, was_safe in reversed(names):
        keys = {(parent, name) for parent, name, _ in named.changes}
        is_safe = was_safe or any(parent == folder for parent, _ in keys) or bool(keys & needed)
        needed |= keys if is_safe else set()
        settled.append((named, is_safe))
    return settled[::-1]


def _none_of(content: bytes, written: Written) -> bytes:
    return content


def _all_of(content: bytes, written: Written) -> bytes:
    whole = content.ljust(written.offset, b"\0")
    return (whole[: written.offset] + written.data + whole[written.offset + len(written.data) :])[: written.size_bytes]


def _drawn_from(chance: random.Random) -> _How:
    def drawn(content: bytes, written: Written) -> bytes:
        way = chance.choice(["none", "all", "cut", "holes", "zeros"])
        if way in ("none", "all"):
            return _none_of(content, written) if way == "none" else _all_of(content, written)
        end = written.offset + len(written.data)
        sectors = range(written.offset // _SECTOR, -(-end // _SECTOR))
        if way == "cut":
            size_bytes = max(written.offset, chance.choice(sectors or range(1)) * _SECTOR)
            return _all_of(content, Written(written.node, written.offset, written.data, size_bytes))
        whole = bytearray(_all_of(content, written))
        stale = chance.randbytes(_SECTOR) if chance.random() < 0.3 else bytes(_SECTOR)
        kept = 0.0 if way == "zeros" else chance.choice([0.2, 0.5, 0.9])
        for sector in sectors:
            if chance.random() >= kept:
                start, stop = max(written.offset, sector * _SECTOR), min(end, len(whole), (sector + 1) * _SECTOR)
                held = content[start:stop]
                whole[start:stop] = held + stale[len(held) : stop - start]
        return bytes(whole)

    return drawn


def lay_out(files: Files, folder: Path) -> None:
    """Make the files that a disk holds, in a new folder."""
    folder.mkdir()
    for path in sorted(files):  # a folder sorts before what is in it
        content = files[path]
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
