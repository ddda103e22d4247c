"""Every way in which an API fails, and what comes of it."""

from __future__ import annotations

import json
import logging
import socket
import time

import numpy as np
import pytest

from hybrid import EncoderError, InputError, PartialEncodingError, RemoteError, Secret
from hybrid.remote import Limits, Retries
from tests.remote import server
from tests.remote.server import KEY, changed, content, drip, hang, status, vector

TEXTS = ["one text", "another one", "a third"]


def right(batch, texts=TEXTS):
    assert np.array_equal(batch.vectors, np.stack([vector(text) for text in texts]))


def shuffled(answer):
    answer["data"].reverse()


def nan(answer):
    answer["data"][1]["embedding"] = server.packed([0.5] * 7 + [np.nan])


def nan_in_json(answer):
    answer["data"][1]["embedding"] = [0.5] * 7 + [float("nan")]


def zeros(answer):
    answer["data"][1]["embedding"] = [0.0] * 8


def narrow(answer):
    answer["data"][2]["embedding"] = server.packed([0.5] * 7)


def few(answer):
    answer["data"].pop()


def twice(answer):
    answer["data"][0]["index"] = 1


def unnumbered(answer):
    del answer["data"][0]["index"]


PASSING = {
    "429": status(429, ("Retry-After", "0")),
    "429 without a wish": status(429),
    "429 in milliseconds": status(429, ("retry-after-ms", "5")),
    "408": status(408),
    "500": status(500),
    "503 as a page": lambda handler, _: handler.reply(503, None, content=b"<html>upstream</html>"),
    "529": status(529),
    "truncated JSON": content(lambda body: body[: len(body) // 2]),
    "not JSON": content(lambda _: b"<html>welcome</html>"),
    "cut short": server.cut_short,
    "reset": server.reset,
    "damaged gzip": server.badly_zipped,
    "slow": hang(0.6),
    "slow drip of the body": drip(0.05),
    "slow drip of the head": drip(0.05, "head"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_tried_again(api, encoder, fault):
    model = encoder(timeout=0.4)
    api.faults.append(fault)
    right(model.encode_documents(TEXTS))
    assert len(api.seen) == 2
    assert api.bodies[0] == api.bodies[1]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_ends(api, encoder, fault):
    api.faults.extend([fault] * 9)
    with pytest.raises(RemoteError, match=r"openai at http://127.0.0.1:\d+.*tried 3 times"):
        encoder(timeout=0.2).encode_documents(TEXTS)
    assert len(api.seen) == 3


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (changed(few), "2 of 'embedding' for 3 texts"),
        (changed(twice), "index 1; each of 0 to 2 must be there once"),
        (changed(unnumbered), "index None"),
        (changed(narrow), "a vector of 7 numbers; 8 were expected"),
        (changed(nan), "NaN or infinite"),
        (changed(nan_in_json), "NaN or infinite"),
        (changed(zeros), "vector of zeros"),
        (changed(lambda _: {"data": "none"}), "no list 'data'"),
        (changed(lambda _: []), "no list 'data'"),
        (status(302, ("Location", "http://elsewhere.example/")), "302.*elsewhere"),
        (
            status(404, body={"error": {"message": "The model `x` does not exist"}}),
            "404: The model `x` does not",
        ),
        (status(429, ("Retry-After", "86400")), r"429.*it asked to wait 86400 seconds"),
        (
            status(429, body={"error": {"message": "no more", "code": "insufficient_quota"}}),
            "answered 429: no more$",
        ),
    ],
)
def test_what_does_not_pass_is_raised_at_once(api, encoder, fault, told):
    api.faults.append(fault)
    with pytest.raises(RemoteError, match=told):
        encoder().encode_documents(TEXTS)
    assert len(api.seen) == 1


def test_vectors_out_of_order_are_put_in_order(api, encoder):
    api.faults.append(changed(shuffled))
    right(encoder().encode_documents(TEXTS))


def test_a_compressed_answer(api, encoder):
    api.faults.append(server.zipped)
    right(encoder().encode_documents(TEXTS))
    assert "gzip" in api.seen[0][1]["Accept-Encoding"]


def test_retry_after_is_waited_by_all_requests(api, encoder):
    api.faults.append(status(429, ("Retry-After", "1")))
    model = encoder(batch_texts=1, limits=Limits(concurrency=1))
    start = time.monotonic()
    right(model.encode_documents(TEXTS))
    assert 1.0 <= time.monotonic() - start < 30
    assert len(api.seen) == 4


def test_nothing_listens(encoder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RemoteError, match=r"ConnectError.*tried 3 times") as caught:
            encoder(base_url=url).encode_documents(TEXTS)
    assert caught.value.status is None


# --- keys ------------------------------------------------------------------------------------------------


def test_a_revoked_key_is_told_and_not_shown(api, encoder, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-revoked-secret-1")
    model = encoder(api_key=None)
    with pytest.raises(
        RemoteError, match=r"401: Incorrect API key provided: .*from OPENAI_API_KEY"
    ) as caught:
        model.encode_documents(TEXTS)
    assert caught.value.status == 401
    assert len(api.seen) == 1
    assert api.seen[0][1]["Authorization"] == "Bearer sk-revoked-secret-1"
    error, told = caught.value, []
    while error is not None:
        told += [repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    shown = [
        caplog.text,
        repr(model),
        repr(model.service),
        repr(vars(model)),
        repr(vars(model.service)),
        *told,
    ]
    assert not any("sk-revoked-secret-1" in text for text in shown)


def test_a_long_message_that_ends_in_a_key_does_not_show_its_beginning(api, encoder):
    api.faults.append(status(401, body={"error": {"message": "x" * 290 + KEY}}))
    with pytest.raises(RemoteError) as caught:
        encoder().encode_documents(TEXTS)
    assert KEY[:8] not in str(caught.value)


def test_a_key_is_not_in_a_fingerprint(encoder):
    assert KEY not in json.dumps(dict(encoder().fingerprint()))


def test_keys(monkeypatch):
    import pickle

    from hybrid.encoders.api import connect

    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "TEI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert repr(Secret("abc-secret")) == str(Secret("abc-secret")) == "Secret(***)"
    with pytest.raises(InputError, match="cannot be pickled"):
        pickle.dumps(Secret("abc-secret"))
    with pytest.raises(InputError, match="beyond ASCII") as caught:
        Secret("abc\nsecret")
    assert "secret" not in str(caught.value).replace("a secret", "")
    with pytest.raises(InputError, match=r"api_key is a str; give hybrid\.Secret") as caught:
        connect("openai:x", api_key="abc-secret")
    assert "abc-secret" not in str(caught.value)
    with pytest.raises(EncoderError, match="no key for openai; set the environment variable OPENAI_API_KEY"):
        connect("openai:x")
    with pytest.raises(EncoderError, match="nothing says where tei is; give base_url=, or set TEI_BASE_URL"):
        connect("tei:x")
    for url in ("http://user:abc-secret@example.com", "http://example.com/v1?key=abc-secret", "abc-secret"):
        with pytest.raises(InputError, match="base_url") as caught:
            connect("openai:x", base_url=url)
        assert "abc-secret" not in str(caught.value)


# --- what was paid for -----------------------------------------------------------------------------------


def test_what_was_made_before_a_failure_comes_with_it(api, encoder):
    texts = [f"text {n}" for n in range(10)]
    api.fault_for = lambda body: status(400) if "text 6" in body["input"] else None
    with pytest.raises(
        PartialEncodingError, match=r"400: trouble 400 \(6 of 10 texts were encoded"
    ) as caught:
        encoder(batch_texts=1, limits=Limits(concurrency=1)).encode_documents([*texts, *texts])
    assert caught.value.texts == texts[:6]
    right(caught.value.encoded.dense, texts[:6])
    assert isinstance(caught.value.__cause__, RemoteError)
    assert len(api.seen) == 7  # nothing was sent after it


def test_requests_under_way_end_when_another_fails(api, encoder):
    def fault(body):
        return status(400) if body["input"] == ["bad"] else hang(0.4)

    api.fault_for = fault
    model = encoder(batch_texts=1, limits=Limits(concurrency=2))
    with pytest.raises(PartialEncodingError) as caught:
        model.encode_documents(["good", "bad", "never", "sent"])
    assert caught.value.texts == ["good"]
    assert len(api.seen) == 2


def test_an_interrupt_sends_nothing_more(api, encoder):
    api.delay = 0.05

    def interrupt(_stage, done, _total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder(batch_texts=1, limits=Limits(concurrency=1)).encode_documents(list("abcdefgh"), interrupt)
    assert len(api.seen) < 8


def test_a_second_attempt_pays_only_for_the_rest(api, encoder, tmp_path):
    import hybrid

    documents = [hybrid.Document(f"d{n:02}", f"text {n}") for n in range(12)]
    pipeline = hybrid.Pipeline([hybrid.Dense("openai:some-model")])
    cache = hybrid.SQLiteCache(tmp_path / "cache.sqlite")
    model = encoder(batch_texts=2, limits=Limits(concurrency=1))
    made = {"pipeline": pipeline, "encoders": {"openai:some-model": model}, "cache": cache}
    api.fault_for = lambda body: status(400) if "text 9" in body["input"] else None
    with pytest.raises(PartialEncodingError):
        hybrid.create(tmp_path / "index", documents, **made)
    sent = [text for body in api.bodies for text in body["input"] if text.startswith("text ")]
    paid = [text for text in sent if text != "text 9"][: len(sent) - 2]
    api.fault_for = None
    api.seen.clear()
    with hybrid.create(tmp_path / "index", documents, **made) as index:
        again = [text for body in api.bodies for text in body["input"] if text.startswith("text ")]
        assert len(paid) >= 8
        assert sorted(again) == sorted({d.text for d in documents} - set(paid))
        assert index.search("text 3", k=1).hits[0].id == "d03"
    cache.close()
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"attempts": 1.5}, {"first": -1}, {"patience": "long"}])
def test_retries_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Retries(**wrong)
