"""What a program asked of the disk, step by step: names made and moved, bytes written, files and folders synced.

The system calls that order what reaches the disk are hooked in this process; around each of them the folder is
looked at, and what changed since the last look becomes steps. So it does not matter who wrote: Python, or Arrow by
itself. Bytes written between two such calls are one step; a power loss may cut it anywhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

__all__ = ["Mark", "Named", "Step", "Synced", "SyncedFolder", "Tape", "Together", "Written"]

_MOVES: Final = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir")
_SYNCS: Final = ("fsync", "fdatasync")
_JOURNAL: Final = ".journal"


@dataclass(frozen=True, slots=True)
class Named:
    """Names that changed at once; filesystems do each such step wholly or not at all.

    Attributes:
        changes: Folder, name in it, and what it names now: a node, or None.
        made: Of the nodes that are new, whether each is a folder.
    """

    changes: tuple[tuple[int, str, int | None], ...]
    made: dict[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes written into a file.

    Attributes:
        node: The file.
        offset: Where.
        data: What.
        size_bytes: Size of the file afterwards.
    """

    node: int
    offset: int
    data: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A file's bytes are on the disk."""

    node: int


@dataclass(frozen=True, slots=True)
class SyncedFolder:
    """A folder's names are on the disk."""

    node: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the program promises from here on.

    Attributes:
        events: So many events are safe.
    """

    events: int


@dataclass(frozen=True, slots=True)
class Together:
    """Steps whose order, and what is between them, nobody saw.

    Attributes:
        steps: The steps.
    """

    steps: tuple[Named | Written | Synced | SyncedFolder, ...]


Step: TypeAlias = Named | Written | Synced | SyncedFolder | Mark | Together


class Tape:
    """Records what is done below a folder; whatever is there before counts as safe.

    Attributes:
        steps: What was done, by the thread that recorded first and all others but ``aside``.
        aside: Steps of the thread named ``beside``, each with the place in ``steps`` before which it came.
        before: Names and bytes that were there before: folder, name, node; and bytes of files by node.

    Args:
        root: The folder.
        beside: Name of a thread whose steps are kept apart.
    """

    ROOT: Final = 0

    def __init__(self, root: Path, beside: str = "") -> None:
        self.steps: list[Step] = []
        self.aside: list[tuple[int, Step]] = []
        self._root = root
        self._beside = beside
        self._lock = threading.RLock()
        self._is_blind = False
        self._nodes: dict[int, int] = {}  # by inode number, as long as it has a name
        self._next = self.ROOT + 1
        self._names: dict[tuple[int, str], int] = {}
        self._content: dict[int, bytes] = {}
        self._look(at_once=True)
        self.before = self.steps
        self.steps = []

    def mark(self, events: int) -> None:
        """Note what is promised from here on."""
        self.look()
        self._add(Mark(events))

    def look(self) -> None:
        """Take down what changed since the last look, one name after the other."""
        with self._lock:
            self._look(at_once=False)

    def node_of(self, path: Path) -> int:
        """Return the node that a path names."""
        return self._nodes[path.stat().st_ino]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hook the system calls while the context is open."""
        real = {name: getattr(os, name) for name in (*_MOVES, *_SYNCS)}
        for name in _MOVES:
            setattr(os, name, self._moving(real[name]))
        for name in _SYNCS:
            setattr(os, name, self._syncing(real[name]))
        try:
            yield
            self.look()
        finally:
            for name, call in real.items():
                setattr(os, name, call)

    @contextmanager
    def blind(self) -> Iterator[None]:
        """Take nothing down while the context is open."""
        self._is_blind = True
        try:
            yield
        finally:
            self._is_blind = False

    def _moving(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def moving(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._look(at_once=False)
                try:
                    return call(*arguments, **options)
                finally:
                    self._look(at_once=True)

        return moving

    def _syncing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def syncing(descriptor: int) -> None:
            with self._lock:
                self._look(at_once=False)
                call(descriptor)
                self._note_sync(os.fstat(descriptor))

        return syncing

    def _note_sync(self, stat: os.stat_result) -> None:
        if self._is_blind:
            return
        if stat.st_ino == self._root.stat().st_ino:
            self._add(SyncedFolder(self.ROOT))
        elif stat.st_ino in self._nodes:
            node = self._nodes[stat.st_ino]
            self._add(Synced(node) if node in self._content else SyncedFolder(node))

    def _add(self, step: Step, *, by_recorder: bool = False) -> None:
        with self._lock:
            if threading.current_thread().name == self._beside and not by_recorder:
                # What the program promised meanwhile is promised of what came before.
                at = len(self.steps)
                self.aside.append((at - (at > 0 and isinstance(self.steps[-1], Mark)), step))
            else:
                self.steps.append(step)

    def _look(self, *, at_once: bool) -> None:
        if self._is_blind:
            return
        names: dict[tuple[int, str], int] = {}
        paths: dict[int, str] = {}
        made: dict[int, bool] = {}
        nodes: dict[int, int] = {}
        folders = [(self.ROOT, str(self._root))]
        while folders:
            folder, place = folders.pop()
            for entry in os.scandir(place):
                number = entry.inode()
                node = self._nodes.get(number)
                if node is None:
                    node, self._next = self._next, self._next + 1
                    made[node] = entry.is_dir()
                nodes[number] = node
                names[folder, entry.name] = node
                if entry.is_dir():
                    folders.append((node, entry.path))
                else:
                    paths[node] = entry.path
        self._nodes = nodes
        self._note_names(names, made, at_once=at_once)
        for node, path in paths.items():
            self._note_bytes(node, path)

    def _note_names(self, names: dict[tuple[int, str], int], made: dict[int, bool], *, at_once: bool) -> None:
        changes = tuple(
            (*key, names.get(key)) for key in sorted({*names, *self._names}) if names.get(key) != self._names.get(key)
        )
        self._names = names
        # Whoever looks, the recorder alone makes journals: it may have done so while the sealer was at work.
        theirs = tuple(change for change in changes if not _makes_journal(change))
        alone = [change for change in changes if _makes_journal(change)]
        if not at_once:
            alone += sorted(theirs, key=lambda change: (change[2] is not None, change[2] or 0))
        elif theirs:
            self._add(Named(theirs, {node: made[node] for _, _, node in theirs if node in made}))
        for change in alone:
            step = Named((change,), {node: is_folder for node, is_folder in made.items() if node == change[2]})
            self._add(step, by_recorder=_makes_journal(change))

    def _note_bytes(self, node: int, path: str) -> None:
        found = Path(path).read_bytes()
        known = self._content.get(node)
        if found == known:
            return
        self._content[node] = found
        if known is None and not found:
            return
        known = known or b""
        others = (place for place, (was, byte) in enumerate(zip(known, found, strict=False)) if was != byte)
        offset = next(others, min(len(known), len(found)))
        self._add(Written(node, offset, found[offset:], len(found)), by_recorder=path.endswith(_JOURNAL))


def _makes_journal(change: tuple[int, str, int | None]) -> bool:
    _, name, node = change
    return node is not None and name.endswith(_JOURNAL)
