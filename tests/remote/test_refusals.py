"""What is read out of a refusal: whether something was too long, and how much of it to keep."""

from __future__ import annotations

import doctest

import pytest

from hybrid.errors import RemoteError
from hybrid.remote import refusals, tokens


@pytest.mark.parametrize("module", [refusals, tokens])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def refused(status, said):
    return RemoteError(f"openai at http://127.0.0.1:8000 answered {status}: {said}", status)


@pytest.mark.parametrize(
    ("error", "long"),
    [
        (refused(400, "maximum context length is 10 tokens"), True),
        (refused(413, "batch size 40 > maximum allowed batch size 32"), True),
        (refused(422, "input is too long"), True),
        (refused(400, "the model does not exist"), False),
        (refused(500, "too many tokens"), False),
        (RemoteError("too many tokens"), False),
    ],
)
def test_what_is_too_long(error, long):
    assert refusals.too_large(error) is long


@pytest.mark.parametrize(
    ("said", "share"),
    [
        ("at most 600 tokens, given 800", 0.98 * 0.75),  # and not the status, nor the port
        ("at most 600 tokens", 0.98 * 0.75),
        ("too long", 0.98 * 0.75),
        ("at most 10 tokens, given 9999", 0.75),  # hardly a window
        ("at most 600 tokens, given 601", 0.75),  # would be tried forever
    ],
)
def test_how_much_is_kept(said, share):
    assert refusals.share_to_keep(refused(413, said)) == pytest.approx(share)
