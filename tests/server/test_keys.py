"""Keys are made once, kept as digests, and never shown."""

from __future__ import annotations

import hashlib
import stat

import pytest

from hybrid.cli import main
from hybrid.errors import InputError
from hybrid.server import KeyRing, new_key


def test_a_key_is_known_by_its_digest(capsys):
    key, line = new_key("laptop", "write")
    role, name, digest = line.split()
    assert (role, name, digest) == ("write", "laptop", hashlib.sha256(key.reveal().encode()).hexdigest())
    assert key.reveal() not in line
    caller = KeyRing([line]).caller(key.reveal())
    assert (caller.name, caller.role) == ("laptop", "write")
    assert (caller.may("read"), caller.may("write")) == (True, True)
    assert KeyRing([line]).caller(key.reveal()[:-1]) is None
    assert KeyRing([line]).caller("") is None
    assert not KeyRing([line.replace("write", "read", 1)]).caller(key.reveal()).may("write")


def test_keys_are_long_and_differ():
    keys = {new_key("a", "read")[0].reveal() for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) >= 43 for key in keys)  # 256 bits in base 64


@pytest.mark.parametrize(
    "line", ["read me", "admin me " + "0" * 64, "read m/e " + "0" * 64, "read me " + "0" * 63]
)
def test_lines_that_are_no_keys_are_refused_without_showing_them(line):
    with pytest.raises(InputError, match="hybrid key") as error:
        KeyRing([line])
    assert line not in str(error.value)


def test_names_and_roles_are_checked():
    _, line = new_key("a", "read")
    with pytest.raises(InputError, match="twice"):
        KeyRing([line, new_key("a", "write")[1]])
    with pytest.raises(InputError, match="twice"):
        KeyRing([line, line.replace(" a ", " b ")])
    with pytest.raises(InputError, match="'a b'"):
        new_key("a b", "read")
    with pytest.raises(InputError, match="'admin'"):
        new_key("a", "admin")


def test_keys_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    (key, line), (other, other_line) = new_key("a", "read"), new_key("b", "write")
    (tmp_path / "keys").write_text(f"# mine\n\n{line}\n")
    monkeypatch.setenv("HYBRID_SERVER_KEYS", other_line)
    ring = KeyRing.read(tmp_path / "keys")
    assert (ring.caller(key.reveal()).name, ring.caller(other.reveal()).name, len(ring)) == ("a", "b", 2)
    with pytest.raises(InputError, match="nowhere"):
        KeyRing.read(tmp_path / "nowhere")


def test_the_command_adds_a_key_and_shows_it_once(tmp_path, capsys):
    file = tmp_path / "keys"
    assert main(["key", "laptop", "--role", "write", "--file", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    assert KeyRing.read(file).caller(key).role == "write"
    before = file.read_text()
    assert main(["key", "laptop", "--file", str(file)]) == 2  # the name is taken
    assert "twice" in capsys.readouterr().err
    assert file.read_text() == before
