"""One writer, whoever and wherever the other one is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid.errors import IndexLockedError, StorageError
from hybrid.index.lock import WriterLock

ROOT = Path(__file__).resolve().parents[2]


def test_a_second_writer_in_the_same_process_is_told_who_holds_it(tmp_path):
    lock = WriterLock(tmp_path)
    with pytest.raises(
        IndexLockedError, match=rf"written by process {os.getpid()} on {socket.gethostname()} since \d{{4}}-"
    ):
        WriterLock(tmp_path)
    lock.release()
    lock.release()
    WriterLock(tmp_path).release()


def test_a_failed_attempt_leaves_the_holder_alone(tmp_path):
    lock = WriterLock(tmp_path)
    for _ in range(2):
        with pytest.raises(IndexLockedError):
            WriterLock(tmp_path)
    assert json.loads((tmp_path / "writer.json").read_text())["pid"] == os.getpid()
    lock.release()
    assert not (tmp_path / "writer.json").exists()


def test_an_unknown_holder_is_still_a_holder(tmp_path):
    lock = WriterLock(tmp_path)
    (tmp_path / "writer.json").write_text("{")
    with pytest.raises(IndexLockedError, match="written by another writer; wait"):
        WriterLock(tmp_path)
    lock.release()


def test_the_lock_of_another_process_holds_until_it_dies(tmp_path):
    code = (
        "import sys, pathlib; from hybrid.index.lock import WriterLock\n"
        "lock = WriterLock(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(IndexLockedError, match=f"process {child.pid} on "):
            WriterLock(tmp_path)
        child.kill()
        child.wait()
        WriterLock(tmp_path).release()


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot lock"):
        WriterLock(tmp_path / "file" / "x")
