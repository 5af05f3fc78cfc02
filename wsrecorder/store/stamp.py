"""A checksum over a whole Parquet file, kept in its own footer.

The footer takes entries of the writer's own. One of them, ``wsrec.crc32``, is written as eight zeros
and filled in when the file is complete: the CRC-32 of all its bytes, counted with those zeros.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import IO, Final

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.place import Place

__all__ = ["BLANK_ENTRY", "RESTORE", "check", "check_file", "fill_in"]

_BLANK: Final = b"00000000"
_KEY: Final = "wsrec.crc32"

BLANK_ENTRY: Final = {_KEY: _BLANK.decode()}
"""The footer's entry as it is written first."""

# How it stands in the footer, up to its digits: Thrift's compact protocol writes the key, the header of
# field 2 (0x18), and the length of its text.
_ENTRY: Final = _KEY.encode() + b"\x18\x08"
_WITHIN_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 20

RESTORE: Final = 'restore it from a copy; "wsrec verify" names all that is wrong'
"""What to do about a damaged segment."""


def fill_in(file: IO[bytes]) -> None:
    """Put the checksum of a complete file into its entry.

    Args:
        file: Open for reading and writing.
    """
    place = _place(file)
    assert place is not None, "Parquet writes the entry in another way now"
    digits = _crc32_around(file, place)
    file.seek(place)
    file.write(digits)


def check(path: Path) -> None:
    """Compare a file with its checksum.

    Raises:
        SegmentDamaged: It has none, or is not as it was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        check_file(file, path)


def check_file(file: IO[bytes], path: Place) -> None:
    """Compare an open file with its checksum; the errors are those of `check`.

    Args:
        file: Open for reading.
        path: Where it is, for the error.
    """
    place = _place(file)
    if place is None:
        raise SegmentDamaged(f"{path} is not a whole segment: its end, with the checksum, is missing", hint=RESTORE)
    file.seek(place)
    stored = file.read(len(_BLANK))
    found = _crc32_around(file, place)
    if stored != found:
        raise SegmentDamaged(
            f"{path} is damaged: its checksum is {found.decode()}, expected {stored.decode(errors='replace')}",
            hint=RESTORE,
        )


def _place(file: IO[bytes]) -> int | None:
    """Return where the digits stand, None when there are none."""
    size_bytes = file.seek(0, 2)
    tail_start = max(0, size_bytes - _WITHIN_BYTES)
    file.seek(tail_start)
    # The last one: a payload may hold the same bytes, but pages come before the footer.
    found = file.read().rfind(_ENTRY)
    place = tail_start + found + len(_ENTRY)
    return None if found < 0 or place + len(_BLANK) > size_bytes else place


def _crc32_around(file: IO[bytes], place: int) -> bytes:
    """Return the CRC-32 of the file as its eight digits, counted with zeros in their place."""
    file.seek(0)
    crc = 0
    left = place
    while chunk := file.read(min(left, _CHUNK_BYTES)):
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
    crc = zlib.crc32(_BLANK, crc)
    file.seek(place + len(_BLANK))
    while chunk := file.read(_CHUNK_BYTES):
        crc = zlib.crc32(chunk, crc)
    return f"{crc:08x}".encode()
