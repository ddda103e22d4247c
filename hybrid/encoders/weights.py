"""The safetensors file of a checkpoint: where each tensor lies, and the digest of the whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid import forking
from hybrid.errors import EncoderError

_CHUNK = 1 << 20
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format's own reader

_digests: dict[tuple[str, int, int], str] = {}
_digests_lock = forking.Lock()


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One float32 tensor inside a file: its byte offset from the start, byte length and shape."""

    offset: int
    length: int
    shape: tuple[int, ...]


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Return the float32 tensors of a safetensors file, by name; reads only its header.

    The format is https://huggingface.co/docs/safetensors: eight bytes of header length (little
    endian), a JSON header of names, types, shapes and byte ranges, then the numbers.

    Raises:
        EncoderError: the file is missing, cut short or not a safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise _damaged(path, f"it announces a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
            start = 8 + length
            return {
                name: _stored(path, name, entry, start, size)
                for name, entry in header.items()
                if name != "__metadata__" and entry["dtype"] == "F32"
            }
    except OSError as error:
        raise EncoderError(f"cannot read the weights {path}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error


def _stored(path: Path, name: str, entry: dict[str, Any], start: int, size: int) -> StoredTensor:
    first, last = (int(number) for number in entry["data_offsets"])
    shape = tuple(int(number) for number in entry["shape"])
    count = 1
    for number in shape:
        count *= number
    if not 0 <= first <= last <= size - start or last - first != 4 * count:
        raise _damaged(path, f"tensor {name!r} of shape {shape} does not fit bytes {first} to {last}")
    return StoredTensor(start + first, last - first, shape)


def _damaged(path: Path, what: str) -> EncoderError:
    return EncoderError(f"the weights {path} are damaged: {what}; install or download the model again")


def file_digest(path: Path) -> str:
    """Return the BLAKE2b digest of a file as 64 hexadecimal digits.

    Remembered within this process by path, size and time of change.

    Raises:
        EncoderError: the file cannot be read.
    """
    try:
        status = path.stat()
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        with _digests_lock:
            if key in _digests:
                return _digests[key]
        digest = hashlib.blake2b(digest_size=32)
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise EncoderError(f"cannot read {path}: {error}") from error
    with _digests_lock:
        return _digests.setdefault(key, digest.hexdigest())
