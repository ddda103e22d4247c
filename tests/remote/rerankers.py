"""The wire formats of rerankers, for the server on this machine.

A score is a function of query and text, so that a test can tell whose score it got. Answers are ordered by
score, as those of the APIs are.
"""

from __future__ import annotations

import hashlib

from tests.remote.server import CohereFormat, DetailFormat, OpenAIFormat, TEIFormat, cut


def relevance(query, text):
    """What the model says of a pair: a number between 0 and 1, exact in float32."""
    digest = hashlib.blake2b(f"{query}|{text}".encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") / 2**16


def best_first(entries, name):
    return sorted(entries, key=lambda entry: -entry[name])


def scored(api, query, texts, name):
    """Return what an API returns: an index and a score for each text, the best first."""
    return best_first([{"index": n, name: relevance(query, text)} for n, text in enumerate(texts)], name)


class CohereRerank:
    wrong_key = CohereFormat.wrong_key

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= {"model", "query", "documents", "top_n", "max_tokens_per_doc"}
        if any(text == "" for text in (body["query"], *body["documents"])):
            return 400, {"id": "1", "message": "invalid request: documents must not be empty"}
        texts, _ = cut(api, body["documents"], True)
        results = scored(api, body["query"], texts, "relevance_score")
        return 200, {"id": "1", "results": results, "meta": {"billed_units": {"search_units": 1}}}


class VoyageRerank:
    wrong_key = DetailFormat.wrong_key

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= {"model", "query", "documents", "top_k", "truncation"}
        if len(body["documents"]) > 1000:
            return 400, {"detail": "The number of documents cannot exceed 1000."}
        texts, refused = cut(api, body["documents"], body["truncation"])
        assert not refused
        data = scored(api, body["query"], texts, "relevance_score")
        return 200, {"object": "list", "data": data, "model": body["model"], "usage": {"total_tokens": 1}}


class JinaRerank:
    wrong_key = DetailFormat.wrong_key

    @classmethod
    def answer(cls, api, body):
        assert set(body) == {"model", "query", "documents", "top_n", "return_documents"}
        longest = max(len(text.split()) for text in body["documents"])
        if api.window and longest > api.window:  # as a compatible server has it
            said = (
                f"This model's maximum context length is {api.window} tokens, you requested {longest} tokens"
            )
            return 400, {"detail": said}
        results = scored(api, body["query"], body["documents"], "relevance_score")
        return 200, {
            "model": body["model"],
            "results": results[: body["top_n"]],
            "usage": {"total_tokens": 1},
        }


class TEIRerank:
    wrong_key = TEIFormat.wrong_key

    @classmethod
    def answer(cls, api, body):
        assert set(body) == {"query", "texts", "raw_scores", "truncate"}
        most = api.most or 32
        if len(body["texts"]) > most:
            said = f"batch size {len(body['texts'])} > maximum allowed batch size {most}"
            return 422, {"error": said, "error_type": "Validation"}
        texts, refused = cut(api, body["texts"], body["truncate"])
        assert not refused
        return 200, scored(api, body["query"], texts, "score")


class ChatFormat:
    """OpenAI's chat completions. ``api.judge`` gets the query and the passages, and answers."""

    wrong_key = OpenAIFormat.wrong_key

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= {"model", "messages", "temperature"}
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        query, passages = shown(body)
        words = sum(len(passage.split()) for passage in passages)
        if api.window and words > api.window:
            said = (
                f"This model's maximum context length is {api.window} tokens. However, your messages "
                f"resulted in {words} tokens. Please reduce the length of the messages."
            )
            return 400, OpenAIFormat.error(said)
        message = {"role": "assistant", "content": api.judge(query, passages), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return 200, {"object": "chat.completion", "model": body["model"], "choices": [choice]}


def shown(body):
    """Return the query and the passages that a prompt shows, as a reader of it would find them."""
    lines = body["messages"][-1]["content"].splitlines()
    query = lines[0].removeprefix("Search query: ")
    passages = [line.partition("] ")[2] for line in lines if line.startswith("[")]
    assert [line.partition("]")[0] for line in lines if line.startswith("[")] == [
        f"[{n}" for n in range(1, len(passages) + 1)
    ]
    return query, passages


def spelled(order):
    return " > ".join(f"[{n + 1}]" for n in order)


def by_relevance(query, passages):
    """A model without fault."""
    return spelled(sorted(range(len(passages)), key=lambda n: -relevance(query, passages[n])))


FORMATS = {
    "/chat/completions": ChatFormat,
    "/v2/rerank": CohereRerank,
    "/voyage/rerank": VoyageRerank,
    "/jina/rerank": JinaRerank,
    "/rerank": TEIRerank,
}
