"""Models that see: texts and images in one space (CLIP, SigLIP, jina-clip), through sentence-transformers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from hybrid.batches import DenseBatch
from hybrid.encoders.neural.sentence import BATCH, SentenceTransformerEncoder, digest, open_model, parts
from hybrid.encoders.request import Request
from hybrid.errors import EncoderError, InputError, MissingDependencyError
from hybrid.types import Progress

_PREPARING = ("preprocessor_config.json", "processor_config.json")


class ImageTextEncoder(SentenceTransformerEncoder):
    """A model of sentence-transformers for texts and images, compared by cosine (Radford et al. 2021).

    May be used from several threads at once.
    """

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1: yes, because these models are compared by cosine."""
        return True

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors, how images are prepared included."""
        folder = self._request.folder
        found = [part / name for part in (folder, *parts(folder)) for name in _PREPARING]
        return {**super().fingerprint(), "images": digest(folder, [path for path in found if path.is_file()])}

    def encode_images(self, images: Sequence[bytes], progress: Progress | None = None) -> DenseBatch:
        """Encode images, in order; each is the content of a file that Pillow reads (PNG, JPEG, WebP, …).

        Raises:
            InputError: one of them is no such content.
            EncoderError: the model failed or gave numbers that are not finite.
            MissingDependencyError: Pillow is not installed.
        """
        stage = f"encode images with {self._request.name}"
        vectors = np.empty((len(images), self.dimension), np.float32)
        if progress is not None:
            progress(stage, 0, len(images))
        for start in range(0, len(images), BATCH):
            batch = [_opened(image, start + n) for n, image in enumerate(images[start : start + BATCH])]
            vectors[start : start + len(batch)] = self._run(batch, "document", "")
            if progress is not None:
                progress(stage, start + len(batch), len(images))
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(
                f"the vectors of model {self._request.name!r} are not finite for image {bad[0]}; its weights "
                "may be damaged"
            )
        return DenseBatch(vectors, np.zeros(len(images), np.bool_))


def load(request: Request) -> SentenceTransformerEncoder:
    """Load a folder with sentence-transformers; the encoder of a model that sees encodes images too.

    Raises:
        EncoderError: it cannot be loaded so.
        InputError: an option cannot be had.
        MissingDependencyError: sentence-transformers or torch is not installed.
    """
    model, device = open_model(request)
    if not model.supports("image"):
        return SentenceTransformerEncoder(model, request, device=device)
    _pad_as_trained(model[0])
    return ImageTextEncoder(model, request, device=device)


def _pad_as_trained(transformer: Any) -> None:
    """Fill texts up to the whole window for SigLIP, which learned that way and knows no mask.

    With less, a text's vector would depend on the texts beside it (https://huggingface.co/docs/transformers
    says so of its SiglipModel: ``padding="max_length"``).
    """
    config = getattr(getattr(transformer, "auto_model", None), "config", None)
    if str(getattr(config, "model_type", "")).startswith("siglip"):
        given = transformer.processing_kwargs
        text = {**given.get("text", {}), "padding": "max_length"}
        transformer.processing_kwargs = {**given, "text": text}


def _opened(image: bytes, position: int) -> Any:
    """Return an image in colour."""
    library = _library()
    if not isinstance(image, bytes):
        raise InputError(f"image {position} is a {type(image).__name__}; give the bytes of an image file")
    try:
        with library.open(io.BytesIO(image)) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, library.DecompressionBombError) as error:
        raise InputError(
            f"image {position} cannot be read ({error}); give the bytes of a PNG, JPEG or WebP file"
        ) from error


def _library() -> ModuleType:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingDependencyError("pillow", "images") from error
    return Image
