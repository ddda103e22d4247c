"""What a server is told is checked before it listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.errors import InputError
from hybrid.server import KeyRing, Settings
from hybrid.server.running import serve
from hybrid.server.settings import named_indexes


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.4", False), ("example.org", False), ("", False),
    ],
)  # fmt: skip
def test_only_loopback_needs_no_key(host, loopback):
    settings = Settings(host=host)
    assert settings.loopback is loopback
    settings.check_keys(1)
    if loopback:
        settings.check_keys(0)
    else:
        with pytest.raises(InputError, match="hybrid key"):
            settings.check_keys(0)


def test_a_public_address_without_a_key_is_refused(words):
    with pytest.raises(InputError, match="there is no key"):
        serve([words], Settings(host="0.0.0.0", port=0), KeyRing())


@pytest.mark.parametrize(
    "wrong",
    [{"queue": 0}, {"queue": 1.5}, {"batch": True}, {"deadline": 0}, {"deadline": float("inf")}, {"rate": -1},
     {"port": 65536}, {"drain": -1}, {"origins": ("*",)}],
)  # fmt: skip
def test_settings_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)


def test_indexes_have_names():
    assert named_indexes(["/a/first", "b=/c/d"]) == {"first": Path("/a/first"), "b": Path("/c/d")}
    assert named_indexes({"x": "/y"}) == {"x": Path("/y")}
    for wrong, said in (
        (["/a/x", "/b/x"], "'x'"),
        (["../=x"], "accepted"),
        ([], "no index"),
        ({"..": "x"}, "'..'"),
    ):
        with pytest.raises(InputError, match=said):
            named_indexes(wrong)


def test_an_address_that_is_taken_is_an_error(words, server):
    with pytest.raises(InputError, match="cannot listen"):
        serve([words], Settings(port=server.port), KeyRing())
