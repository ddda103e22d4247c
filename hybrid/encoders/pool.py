"""One model in several processes: on several devices, or on the processors of one machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid import forking
from hybrid.batches import Encoded, Representation, Side
from hybrid.encoders.pool_process import Description, PoolProcess
from hybrid.encoders.texts import Distinct
from hybrid.errors import EncoderError, InputError
from hybrid.threads import thread_count
from hybrid.types import Encoder, Progress

CHUNK = 64
"""How many texts a process is given at a time."""


class Pool:
    """An encoder that hands its texts to copies of a model, each in a process of its own.

    ``model`` is a name, loaded in each process by ``hybrid.load_encoder(model, device=…, **options)``; or a
    function of a module, called there with the device (it and what it needs must be importable; names
    registered in this process are not known there). ``devices`` are as torch names them, one process for
    each; or a number of processes without a device.

    The longest texts go first, and a process gets the next ones as soon as it is done, so at most 64 texts a
    process are on their way. What comes back is in order, and is what one such encoder gives. On the
    processor, each process takes its share of ``HYBRID_THREADS``. Close it, or use it in a ``with``.

    Example::

        with hybrid.encoders.Pool("bge-m3", ["cuda:0", "cuda:1"], dtype="float16") as model:
            hybrid.create("my-index", documents, pipeline=pipeline, encoders={"bge-m3": model})
    """

    def __init__(
        self, model: str | Callable[[str | None], Encoder], devices: Sequence[str] | int, **options: Any
    ) -> None:
        """Start the processes and load the model in each.

        Raises:
            EncoderError: the model cannot be loaded, or a process died.
            InputError: there is no device, or options are given for a function.
        """
        places = [None] * devices if isinstance(devices, int) else list(devices)
        if isinstance(devices, (str, bool)) or not places:
            raise InputError(
                f"devices is {devices!r}; give a list of devices, or a number of processes from 1"
            )
        if not isinstance(model, str) and options:
            raise InputError(f"options are for a model's name; {model!r} is called with the device alone")
        share = max(1, thread_count() // len(places))
        self._processes = [PoolProcess(model, place, options, share) for place in places]
        self._busy = forking.Lock()
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    def _describe(self) -> None:
        """Wait until all are ready, and compare what they loaded."""
        for process in self._processes:
            process.start()
        descriptions = [process.ready() for process in self._processes]
        self._known: Description = descriptions[0]
        for other in descriptions[1:]:
            if other != self._known:
                raise EncoderError(
                    f"the processes loaded different models: {self._known} and {other}; has a file changed?"
                )

    @property
    def representations(self) -> tuple[Representation, ...]:
        """What the model gives."""
        return self._known.representations

    def __getattr__(self, name: str) -> Any:
        """Return what the model says of its representations: dimension, vocabulary and so on."""
        known = self.__dict__.get("_known")
        if known is None or name not in known.properties:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return known.properties[name]

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return the model's own: where it runs decides nothing."""
        return self._known.fingerprint

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        representations: Collection[Representation],
        progress: Progress | None = None,
    ) -> Encoded:
        """Encode texts, in order, into the wanted representations; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed (the message is its own), or a process died; it is started again
                for the next call.
        """
        distinct = Distinct.of(texts)
        order = np.argsort([-len(text) for text in distinct.texts], kind="stable")
        chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)] or [order]
        with self._busy:
            work = _Work(distinct.texts, chunks, side, tuple(representations), distinct.repeats, progress)
            threads = [
                threading.Thread(target=work.run, args=(process,), daemon=True)
                for process in self._processes[: len(chunks)]
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        together = Encoded.concat(work.results())
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return together.take(places[distinct.source])

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        """Encode passages with a model that gives one representation; raises what `encode` raises."""
        return self._single(texts, "document", progress)

    def encode_queries(self, texts: Sequence[str]) -> Any:
        """Encode queries with a model that gives one representation; raises what `encode` raises."""
        return self._single(texts, "query", None)

    def _single(self, texts: Sequence[str], side: Side, progress: Progress | None) -> Any:
        if len(self.representations) != 1:
            raise EncoderError(
                f"the model gives {', '.join(self.representations)}; call encode() with those wanted"
            )
        return self.encode(texts, side, self.representations, progress)[self.representations[0]]

    def close(self) -> None:
        """End the processes. May be called again."""
        for process in self._processes:
            process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Work:
    """One call's chunks, taken by several threads, each of which speaks to one process."""

    def __init__(
        self,
        texts: Sequence[str],
        chunks: Sequence[NDArray[np.int64]],
        side: Side,
        representations: tuple[Representation, ...],
        repeats: NDArray[np.int64],
        progress: Progress | None,
    ) -> None:
        self._texts, self._chunks, self._repeats = texts, chunks, repeats
        self._side, self._representations, self._progress = side, representations, progress
        self._next, self._done = count(), 0
        self._found: dict[int, Encoded] = {}
        self._errors: dict[int, BaseException] = {}
        self._lock = forking.Lock()
        self._report(0)

    def run(self, process: PoolProcess) -> None:
        """Take chunks until none is left, or one has failed."""
        while not self._errors:
            number = next(self._next)
            if number >= len(self._chunks):
                return
            chunk = self._chunks[number]
            try:
                texts = [self._texts[n] for n in chunk]
                self._found[number] = process.encode(texts, self._side, self._representations)
                self._report(int(self._repeats[chunk].sum()))
            except BaseException as error:  # raised again by `results`, in the caller's thread
                self._errors[number] = error

    def _report(self, more: int) -> None:
        with self._lock:
            self._done += more
            if self._progress is not None:
                self._progress("encode", self._done, int(self._repeats.sum()))

    def results(self) -> list[Encoded]:
        """Return what was found, in the order of the chunks; raise the first failure."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._found[number] for number in range(len(self._chunks))]
