"""A build that was killed goes on where it was: through the command line, with a real encoder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.engine.test_cache import digests

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import json, os, sys, time
sys.path.insert(0, {root!r})
import hybrid
from hybrid.cli import main
from hybrid.encoders.caching import model

model.PORTION_TEXTS = 8

class Logged:
    '''The real thing, slowed down, that writes down what it encodes.'''
    def __init__(self):
        self.encoder = hybrid.load_encoder({folder!r})
        self.dimension, self.normalized = self.encoder.dimension, self.encoder.normalized
        self.fingerprint, self.encode_queries = self.encoder.fingerprint, self.encoder.encode_queries

    def encode_documents(self, texts, progress=None):
        self.write("begin", texts)
        time.sleep(float(os.environ["PACE"]))
        found = self.encoder.encode_documents(texts, progress)
        self.write("end", texts)
        return found

    def write(self, what, texts):
        with open({log!r}, "a") as log:
            log.writelines(json.dumps([what, text]) + "\\n" for text in texts if text.startswith("text"))

hybrid.register_encoder("logged", Logged)
sys.exit(main(sys.argv[1:]))
"""


def test_after_kill_nine_the_same_command_encodes_the_rest(tmp_path, tiny_folder):
    log, corpus, recipe = tmp_path / "log", tmp_path / "corpus.jsonl", tmp_path / "recipe.toml"
    rows = [{"_id": f"d{n}", "text": f"text {n} " + "hello world " * (n % 7)} for n in range(80)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe.write_text('[[branches]]\ntype = "bm25"\n[[branches]]\ntype = "dense"\nmodel = "logged"\n')
    program = PROGRAM.format(root=str(ROOT), folder=str(tiny_folder()), log=str(log))
    command = [sys.executable, "-c", program, "create", str(tmp_path / "index"), str(corpus)]
    command += ["--recipe", str(recipe)]

    def start(pace, cache=tmp_path / "cache.sqlite", index=None):
        environment = {**os.environ, "PACE": str(pace), "HYBRID_CACHE": str(cache)}
        asked = [part if index is None else part.replace(str(tmp_path / "index"), index) for part in command]
        return subprocess.Popen(asked, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def logged():
        lines = log.read_text().splitlines() if log.exists() else []
        found = {"begin": Counter(), "end": Counter()}
        for what, text in map(json.loads, lines):
            found[what][text] += 1
        return found

    with start(0.2) as process:
        ends = time.monotonic() + 60
        while sum(logged()["end"].values()) < 24 and time.monotonic() < ends and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "index" / "catalog.sqlite").exists()
    before = logged()
    assert 24 <= sum(before["end"].values()) < 80

    with start(0) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    after = logged()
    assert len(after["end"]) == 80
    again = [text for text, times in after["begin"].items() if times > 1]
    in_flight = set(before["begin"]) - set(before["end"])
    # At most the portion in work then: it was not done, or died on its way into the cache.
    assert set(again) <= in_flight | set(list(before["end"])[-8:])
    assert len(again) <= 8
    assert f"{80 - sum(after['end'].values()) + sum(before['end'].values()):,} found in the cache" in str(out)

    with start(0, "off", str(tmp_path / "whole")) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert digests(tmp_path / "index") == digests(tmp_path / "whole")
