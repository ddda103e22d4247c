"""Dense vectors from sentence-transformers itself, for models made of more than a pooled transformer."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.batches import DenseBatch, Side
from hybrid.encoders.neural import loading
from hybrid.encoders.neural.dense import check_dimension, check_finite
from hybrid.encoders.request import Request
from hybrid.encoders.texts import Distinct
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError, InputError, MissingDependencyError
from hybrid.forking import forked_after_loading
from hybrid.threads import thread_count
from hybrid.types import Progress

BATCH = 32
"""Texts in a batch; the library sorts them by length."""

_WEIGHTS = ("*.safetensors", "*.bin")
_CONFIGURATION = ("modules.json", "config.json", "*.py")


class SentenceTransformerEncoder:
    """A model of sentence-transformers, whatever its modules. May be used from several threads at once.

    A text's vector depends on the texts it is encoded with by rounding only.
    """

    def __init__(self, model: Any, request: Request, *, device: str) -> None:
        """Take what `open_model` returns."""
        self.model = model
        """The ``SentenceTransformer``."""
        self._request, self._device = request, device
        self._full = int(model.get_embedding_dimension())
        self._lock = forking.Lock()

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        return self._request.options.dimension or self._full

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1."""
        return self._request.normalize

    @property
    def matryoshka(self) -> tuple[int, ...]:
        """The lengths that the model was trained to be cut to, longest first; empty for none or unknown."""
        return self._request.family.matryoshka if self._request.family else ()

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors."""
        request, folder = self._request, self._request.folder
        tasks = self._tasks()
        return {
            "model": request.name,
            "architecture": f"sentence-transformers: {', '.join(type(m).__name__ for m in self.model)}",
            "modules": digest(folder, _configuration(folder)),
            "weights": digest(folder, _weights(folder)),
            "tokenizer": loading.tokenizer_digest(_tokenizer_folder(folder)),
            "normalize": self.normalized,
            "query_prefix": request.query_prefix,
            "document_prefix": request.document_prefix,
            "max_tokens": int(self.model.max_seq_length or 0),
            "dimension": self.dimension,
            "dtype": request.options.dtype,
            **({"tasks": json.dumps(tasks, sort_keys=True)} if tasks else {}),
            **({"revision": request.revision} if request.revision else {}),
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed or gave numbers that are not finite.
        """
        return self._encode("document", self._request.document_prefix, texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        return self._encode("query", self._request.query_prefix, texts, None)

    def _encode(self, side: Side, prefix: str, texts: Sequence[str], progress: Progress | None) -> DenseBatch:
        distinct = Distinct.of(texts)
        stage, total = f"encode {self._request.name}", len(distinct.texts)
        if progress is not None:
            progress(stage, 0, total)
        order = np.argsort([-len(text) for text in distinct.texts], kind="stable")
        vectors = np.empty((total, self.dimension), np.float32)
        for start in range(0, total, BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._run([distinct.texts[n] for n in batch], side, prefix)
            if progress is not None:
                progress(stage, start + len(batch), total)
        check_finite(vectors, distinct.texts, self._request.name)
        truncated = np.array([self._too_long(prefix + text) for text in distinct.texts], np.bool_)
        return DenseBatch(vectors[distinct.source], truncated[distinct.source])

    def _run(self, texts: list[str], side: Side, prefix: str) -> Any:
        task = self._tasks().get(side)
        torch = loading.torch_library()
        if torch.get_num_threads() != thread_count():
            # OpenMP waits for ever for threads that stayed in the parent
            torch.set_num_threads(1 if forked_after_loading("torch") else thread_count())
        try:
            with self._lock:  # modules with adapters switch them on the model
                found = self.model.encode(
                    texts,
                    prompt=prefix or None,
                    batch_size=BATCH,
                    show_progress_bar=False,
                    convert_to_tensor=True,
                    **({"task": task} if task else {}),
                )
        except Exception as error:  # out of memory, a module's own code: no public root
            raise EncoderError(
                f"model {self._request.name!r} failed on {len(texts)} texts: {error}"
            ) from error
        found = found.float()[:, : self.dimension]
        if self.normalized:
            found = torch.nn.functional.normalize(found, dim=1)
        return found.cpu().numpy()

    def _too_long(self, text: str) -> bool:
        limit = self.model.max_seq_length
        return (
            bool(limit) and len(self.model.tokenizer(text, truncation=False, verbose=False).input_ids) > limit
        )

    def _tasks(self) -> dict[str, str]:
        family = self._request.family
        if family is None or not family.query_task:
            return {}
        return {"query": family.query_task, "document": family.document_task}


def open_model(request: Request) -> tuple[Any, str]:
    """Return a folder as a ``SentenceTransformer``, and its device.

    Raises:
        EncoderError: it cannot be loaded so.
        InputError: an option cannot be had.
        MissingDependencyError: sentence-transformers or torch is not installed.
    """
    options = request.options
    if not request.layout.modules:
        raise EncoderError(
            f"{request.folder} has no modules.json, so sentence-transformers would guess its pooling; give "
            'backend="transformers" and pooling='
        )
    if options.pooling is not None and options.pooling != request.layout.pooling:
        raise InputError(
            f"pooling is {options.pooling!r}, but the modules of {request.name!r} decide it; leave it out, "
            'or give backend="transformers"'
        )
    library, device = _library(), loading.chosen_device(options.device)
    trusted = request.trusted()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's news of deprecated keys in old files
            model = library.SentenceTransformer(
                str(request.folder),
                device=device,
                local_files_only=True,
                trust_remote_code=trusted,
                model_kwargs={"dtype": getattr(loading.torch_library(), options.dtype)},
            )
    except Exception as error:  # missing files, unknown modules: many unrelated types
        raise EncoderError(f"sentence-transformers cannot load {request.folder}: {error}") from error
    model.eval().to(getattr(loading.torch_library(), options.dtype))
    if options.max_tokens is not None:
        model.max_seq_length = options.max_tokens
    trained = request.family.matryoshka if request.family else ()
    check_dimension(options.dimension, int(model.get_embedding_dimension()), trained, request.name)
    return model, device


def _library() -> ModuleType:
    try:
        import sentence_transformers
    except ModuleNotFoundError as error:
        raise MissingDependencyError("sentence-transformers", "models") from error
    return sentence_transformers


def _weights(folder: Path) -> list[Path]:
    """Return the weights of the transformer and of each module: safetensors where there are any."""
    found = []
    for part in (folder, *parts(folder)):
        kinds = [sorted(part.glob(pattern)) for pattern in _WEIGHTS]
        found += next((files for files in kinds if files), [])
    return found


def _configuration(folder: Path) -> list[Path]:
    """Return the files that say what the modules do, and the model's own code."""
    return [
        file
        for part in (folder, *parts(folder))
        for name in _CONFIGURATION
        for file in sorted(part.glob(name))
    ]


def _tokenizer_folder(folder: Path) -> Path:
    """Return the folder of the tokenizer: the first module's, if the root has none."""
    return next((part for part in (folder, *parts(folder)) if (part / "tokenizer.json").is_file()), folder)


def parts(folder: Path) -> list[Path]:
    """Return the folders of modules, in order."""
    return sorted(path for path in folder.glob("[0-9]*_*") if path.is_dir())


def digest(folder: Path, files: Sequence[Path]) -> str:
    """Return the digest of files: of their paths in the folder and of their contents."""
    lines = [f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in files]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=32).hexdigest()
