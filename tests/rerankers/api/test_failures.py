"""Every way in which the API of a reranker fails, and what comes of it."""

from __future__ import annotations

import logging
import socket

import pytest

import hybrid
from hybrid import RemoteError
from hybrid.remote import Limits
from tests.remote import server
from tests.remote.rerankers import relevance
from tests.remote.server import KEY, changed, content, drip, hang, status

QUERY = "what is a cell"
TEXTS = ["one text", "another one", "a third"]
DOCUMENTS = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]
RIGHT = [relevance(QUERY, text) for text in TEXTS]


def result(n, **values):
    """Change the n-th entry of the answer, and the first of a list that TEI gives."""

    def change(answer):
        (answer if isinstance(answer, list) else answer["results"])[n].update(values)

    return changed(change)


def few(answer):
    answer["results"].pop()


def many(answer):
    answer["results"].append({"index": 3, "relevance_score": 0.5})


def twice(answer):
    answer["results"][0]["index"] = answer["results"][1]["index"]


def unnumbered(answer):
    del answer["results"][0]["index"]


def unscored(answer):
    del answer["results"][0]["relevance_score"]


PASSING = {
    "429": status(429, ("Retry-After", "0")),
    "500": status(500),
    "503 as a page": lambda handler, _: handler.reply(503, None, content=b"<html>upstream</html>"),
    "truncated JSON": content(lambda body: body[: len(body) // 2]),
    "cut short": server.cut_short,
    "reset": server.reset,
    "damaged gzip": server.badly_zipped,
    "slow": hang(0.6),
    "slow drip of the body": drip(0.05),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_tried_again(api, reranker, fault):
    api.faults.append(fault)
    assert reranker(timeout=0.4).score(QUERY, DOCUMENTS).tolist() == RIGHT
    assert len(api.seen) == 2
    assert api.bodies[0] == api.bodies[1]


@pytest.mark.parametrize(
    "fault", [PASSING["429"], PASSING["truncated JSON"], PASSING["reset"], PASSING["slow"]]
)
def test_what_does_not_pass_ends(api, reranker, fault):
    api.faults.extend([fault] * 9)
    with pytest.raises(RemoteError, match=r"cohere at http://127.0.0.1:\d+.*tried 3 times"):
        reranker(timeout=0.2).score(QUERY, DOCUMENTS)
    assert len(api.seen) == 3


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (changed(few), "2 of 'relevance_score' for 3 texts"),
        (changed(many), "4 of 'relevance_score' for 3 texts"),
        (changed(twice), "each of 0 to 2 must be there once"),
        (changed(unnumbered), "index None"),
        (changed(unscored), "no list 'results' of objects with 'relevance_score'"),
        (result(1, index=3), "index 3; each of 0 to 2"),
        (result(1, index=-1), "index -1; each of 0 to 2"),
        (result(1, index=True), "index True"),
        (result(1, index="1"), "index '1'"),
        (result(1, relevance_score=float("nan")), "NaN or infinite"),
        (result(1, relevance_score=1e300), "NaN or infinite"),
        (result(1, relevance_score=10**400), "NaN or infinite"),
        (result(1, relevance_score="0.5"), "score '0.5', which is not a number"),
        (result(1, relevance_score=None), "score None, which is not a number"),
        (result(1, relevance_score=True), "score True, which is not a number"),
        (changed(lambda _: {"results": "none"}), "no list 'results'"),
        (changed(lambda _: []), "no list 'results'"),
        (status(302, ("Location", "http://elsewhere.example/")), "302.*elsewhere"),
        (status(404, body={"message": "model 'x' not found"}), "404: model 'x' not found"),
        (status(429, ("Retry-After", "86400")), "429.*it asked to wait 86400 seconds"),
        (status(400, body={"message": "invalid request: top_n"}), "answered 400: invalid request: top_n$"),
    ],
)
def test_what_does_not_pass_is_raised_at_once(api, reranker, fault, told):
    api.faults.append(fault)
    with pytest.raises(RemoteError, match=told):
        reranker().score(QUERY, DOCUMENTS)
    assert len(api.seen) == 1


@pytest.mark.parametrize("provider", ["voyage", "jina", "tei"])
def test_each_format_is_checked(api, reranker, provider):
    def same(answer):
        found = answer if isinstance(answer, list) else answer.get("data", answer.get("results"))
        found[2]["index"] = found[0]["index"]

    api.faults.append(changed(same))
    with pytest.raises(RemoteError, match=f"{provider} at .* each of 0 to 2 must be there once"):
        reranker(f"{provider}:m").score(QUERY, DOCUMENTS)


def test_a_compressed_answer(api, reranker):
    api.faults.append(server.zipped)
    assert reranker().score(QUERY, DOCUMENTS).tolist() == RIGHT


def test_a_wrong_key_is_told_and_never_shown(api, reranker, caplog):
    caplog.set_level(logging.DEBUG)
    api.key = "another"
    with pytest.raises(RemoteError, match="401: invalid api token; the key is wrong") as caught:
        reranker().score(QUERY, DOCUMENTS)
    assert caught.value.status == 401
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert len(api.seen) == 1


def test_a_document_that_nothing_makes_short_enough(api, reranker):
    api.fault_for = lambda _: status(400, body={"message": "query has too many tokens"})
    with pytest.raises(RemoteError, match="400: query has too many tokens"):
        reranker().score(QUERY, DOCUMENTS[:1])
    lengths = [len(body["documents"][0]) for body in api.bodies]
    assert lengths == sorted(lengths, reverse=True)
    assert min(lengths) == 1


def test_after_a_failure_nothing_more_is_sent(api, reranker):
    api.fault_for = lambda body: (
        status(400, body={"message": "no"}) if body["documents"] == ["one text"] else None
    )
    model = reranker(batch_documents=1, limits=Limits(concurrency=1))
    with pytest.raises(RemoteError, match="answered 400: no"):
        model.score(QUERY, DOCUMENTS)
    assert len(api.seen) == 1


def test_nobody_there(reranker):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RemoteError, match=r"ConnectError.*tried 3 times"):
        reranker(base_url=url).score(QUERY, DOCUMENTS)
