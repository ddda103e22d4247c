"""The other end of `hybrid.encoders.pool_process`: loads a model and encodes until its input ends."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import Any, BinaryIO

from hybrid.encoders.model import Model
from hybrid.encoders.pool_process import Description
from hybrid.encoders.registry import load

_PROPERTIES = ("dimension", "normalized", "vocabulary", "token_dimension")


def serve() -> None:
    """Load what is asked for, describe it, and answer requests; an answer is (failed, what)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # nobody else writes there
        try:
            model = _loaded(*pickle.load(sys.stdin.buffer))
            _answer(answers, (False, _description(model)))
        except Exception as error:
            _answer(answers, (True, (type(error).__name__, str(error))))
            return
        while True:
            try:
                texts, side, representations = pickle.load(sys.stdin.buffer)
            except (EOFError, pickle.UnpicklingError):
                return
            try:
                _answer(answers, (False, model.encode(texts, side, representations)))
            except Exception as error:
                _answer(answers, (True, (type(error).__name__, str(error))))


def _loaded(model: Any, device: str | None, options: dict[str, Any]) -> Model:
    if isinstance(model, str):
        return Model.of(model, load(model, device=device, **options))
    return Model.of(getattr(model, "__name__", "model"), model(device))


def _description(model: Model) -> Description:
    encoder = model.encoder
    properties = {name: getattr(encoder, name) for name in _PROPERTIES if hasattr(encoder, name)}
    return Description(model.representations, properties, dict(model.fingerprint()))


def _answer(answers: BinaryIO, answer: tuple[bool, Any]) -> None:
    """Send an answer; end at once if nobody listens any more."""
    whole = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    try:
        answers.write(whole)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)
