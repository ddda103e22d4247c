"""A server on this machine that speaks the wire formats of the APIs, and fails when told to.

Vectors are a function of the text and its side, so that a test can tell whose vector it got. Windows are
counted in words, and what is too long is refused in each API's own words.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import struct
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

KEY = "sk-test-0123456789abcdef"


def vector(text, side="", dimension=8):
    """What the model makes of a text: float32 numbers, of length 1."""
    seed = int.from_bytes(hashlib.blake2b(f"{side}|{text}".encode(), digest_size=8).digest(), "big")
    row = np.random.default_rng(seed).standard_normal(dimension)
    return (row / np.linalg.norm(row)).astype(np.float32)


def packed(row):
    return base64.b64encode(np.asarray(row, "<f4").tobytes()).decode()


class Api:
    """The server. ``faults`` are taken one a request; a fault gets the handler and the right answer."""

    def __init__(self, *, dimension=8, window=None, most=None, key=KEY, formats=None):
        self.formats = FORMATS if formats is None else formats
        self.dimension, self.window, self.most, self.key = dimension, window, most, key
        self.faults, self.seen, self.lock = deque(), [], threading.Lock()
        self.now = self.busiest = 0
        self.delay = 0.0
        self.fault_for = None
        handler = type("Bound", (Handler,), {"api": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def bodies(self):
        return [body for _, _, body in self.seen]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.api.lock:
            self.api.seen.append((self.path, dict(self.headers), body))
            fault = self.api.faults.popleft() if self.api.faults else None
            if self.api.fault_for is not None:
                fault = self.api.fault_for(body) or fault
            self.api.now += 1
            self.api.busiest = max(self.api.busiest, self.api.now)
        try:
            time.sleep(self.api.delay)
            status, answer = self.answer(body)
            if fault is None:
                self.reply(status, answer)
            else:
                fault(self, answer)
        finally:
            with self.api.lock:
                self.api.now -= 1

    def answer(self, body):
        if self.api.key and self.headers.get("Authorization") != f"Bearer {self.api.key}":
            return 401, self.api.formats[self.path].wrong_key(self.headers.get("Authorization", ""))
        return self.api.formats[self.path].answer(self.api, body)

    def reply(self, status, answer, headers=(), content=None):
        content = json.dumps(answer).encode() if content is None else content
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


# --- the formats ---------------------------------------------------------------------------------------


class OpenAIFormat:
    @staticmethod
    def wrong_key(sent):
        said = f"Incorrect API key provided: {sent.removeprefix('Bearer ')}."
        return {"error": {"message": said, "type": "invalid_request_error", "code": "invalid_api_key"}}

    @classmethod
    def answer(cls, api, body):
        texts = body["input"]
        assert set(body) <= {"model", "input", "encoding_format", "dimensions"}
        if any(text == "" for text in texts):
            return 400, cls.error("'$.input' is invalid: empty strings are not allowed.")
        if api.most and len(texts) > api.most:
            return 400, cls.error(f"Invalid 'input': array too long. Expected {api.most} or fewer.")
        longest = max(len(text.split()) for text in texts)
        if api.window and longest > api.window:
            return 400, cls.error(
                f"This model's maximum context length is {api.window} tokens, however you requested "
                f"{longest} tokens ({longest} in your prompt). Please reduce your prompt."
            )
        width = body.get("dimensions", api.dimension)
        rows = [vector(text, dimension=width) for text in texts]
        spell = packed if body.get("encoding_format") == "base64" else np.ndarray.tolist
        data = [{"object": "embedding", "index": n, "embedding": spell(row)} for n, row in enumerate(rows)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {"object": "list", "data": data, "model": body["model"], "usage": usage}

    @staticmethod
    def error(message):
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


class CohereFormat:
    @staticmethod
    def wrong_key(_):
        return {"id": "1", "message": "invalid api token"}

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= {
            "model", "texts", "input_type", "embedding_types", "truncate", "output_dimension"
        }  # fmt: skip
        texts, side = body["texts"], body["input_type"]
        assert side in {"search_query", "search_document"}
        if len(texts) > 96:
            return 400, {"id": "1", "message": "invalid request: number of texts must be at most 96"}
        texts, refused = cut(api, texts, body["truncate"] == "END")
        if refused:
            return 400, {"id": "1", "message": f"too many tokens: max tokens limit is {api.window}"}
        width = body.get("output_dimension", api.dimension)
        rows = [vector(text, side, width).tolist() for text in texts]
        kind, meta = "embeddings_by_type", {"api_version": {"version": "2"}}
        return 200, {
            "id": "1",
            "embeddings": {"float": rows},
            "texts": texts,
            "meta": meta,
            "response_type": kind,
        }


class DetailFormat:
    """Voyage and Jina: data by index, errors under ``detail``."""

    known: frozenset[str]
    dimension: str

    @staticmethod
    def wrong_key(_):
        return {"detail": "Provided API key is invalid."}

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= cls.known, body
        truncate, side = cls.settings(body)
        texts, refused = cut(api, body["input"], truncate)
        if refused:
            said = (
                f"Request to model '{body['model']}' failed. The example at index 0 in your batch has too "
                f"many tokens and does not fit into the model's context window of {api.window} tokens."
            )
            return 400, {"detail": said}
        rows = [vector(text, side, body.get(cls.dimension, api.dimension)) for text in texts]
        data = [{"object": "embedding", "index": n, "embedding": packed(row)} for n, row in enumerate(rows)]
        return 200, {"object": "list", "data": data, "model": body["model"], "usage": {"total_tokens": 1}}


class VoyageFormat(DetailFormat):
    known = frozenset(("model", "input", "input_type", "truncation", "encoding_format", "output_dimension"))
    dimension = "output_dimension"

    @staticmethod
    def settings(body):
        assert body["encoding_format"] == "base64"
        return body["truncation"], body["input_type"]


class JinaFormat(DetailFormat):
    known = frozenset(("model", "input", "task", "truncate", "embedding_type", "dimensions"))
    dimension = "dimensions"

    @staticmethod
    def settings(body):
        assert body["embedding_type"] == "base64"
        return body["truncate"], body.get("task", "")


class TEIFormat:
    @staticmethod
    def wrong_key(_):
        return {"error": "unauthorized", "error_type": "Unhealthy"}

    @classmethod
    def answer(cls, api, body):
        assert set(body) <= {"inputs", "normalize", "truncate", "dimensions"}
        if len(body["inputs"]) > 32:
            message = f"batch size {len(body['inputs'])} > maximum allowed batch size 32"
            return 422, {"error": message, "error_type": "Validation"}
        texts, refused = cut(api, body["inputs"], body["truncate"])
        if refused:
            message = f"Input validation error: `inputs` must have less than {api.window} tokens. Given: 99"
            return 413, {"error": message, "error_type": "Validation"}
        return 200, [vector(text, dimension=body.get("dimensions", api.dimension)).tolist() for text in texts]


def cut(api, texts, allowed):
    """Return the texts as the model reads them, and whether one is refused."""
    words = [text.split() for text in texts]
    if api.window is None or all(len(some) <= api.window for some in words):
        return texts, False
    return [" ".join(some[: api.window]) for some in words], not allowed


FORMATS = {
    "/embeddings": OpenAIFormat,
    "/v2/embed": CohereFormat,
    "/voyage/embeddings": VoyageFormat,
    "/jina/embeddings": JinaFormat,
    "/embed": TEIFormat,
}
ROOTS = {"voyage": "/voyage", "jina": "/jina"}


# --- the faults ----------------------------------------------------------------------------------------


def status(code, *headers, body=None):
    """Answer with an error; ``headers`` are pairs."""
    said = {"error": {"message": f"trouble {code}", "code": None}} if body is None else body
    return lambda handler, _: handler.reply(code, said, headers)


def content(change):
    """Answer with other bytes, under a length that fits them."""
    return lambda handler, answer: handler.reply(200, None, content=change(json.dumps(answer).encode()))


def changed(change):
    """Change the answer."""

    def fault(handler, answer):
        new = change(answer)
        handler.reply(200, answer if new is None else new)

    return fault


def zipped(handler, answer):
    body = gzip.compress(json.dumps(answer).encode())
    handler.reply(200, None, [("Content-Encoding", "gzip")], body)


def badly_zipped(handler, answer):
    body = gzip.compress(json.dumps(answer).encode())[:-20] + b"x" * 20
    handler.reply(200, None, [("Content-Encoding", "gzip")], body)


def cut_short(handler, answer):
    """Promise the whole answer, and close the connection in its middle."""
    body = json.dumps(answer).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def reset(handler, _):
    """Close the connection with a reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def hang(seconds):
    """Answer too late."""

    def fault(handler, answer):
        time.sleep(seconds)
        quietly(lambda: handler.reply(200, answer))
        handler.close_connection = True

    return fault


def drip(pause, where="body"):
    """Send a byte at a time; each comes soon enough, the whole does not."""

    def fault(handler, answer):
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

        def send():
            if where == "body":
                handler.wfile.write(head)
            for byte in body if where == "body" else head + body:
                handler.wfile.write(bytes([byte]))
                time.sleep(pause)

        quietly(send)
        handler.close_connection = True

    return fault


def quietly(send):
    """The client is right to be gone."""
    try:
        send()
    except OSError:
        return
