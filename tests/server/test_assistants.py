"""The tools of an assistant, asked by the SDK's own client over stdio."""

from __future__ import annotations

import asyncio
import json
import sys

from mcp import StdioServerParameters
from mcp.client.client import Client

import hybrid
from tests.server.conftest import ROOT, TEXTS


def talk(scene, *folders):
    """Run ``hybrid mcp`` as an assistant runs it, and a scene with its client."""

    async def run():
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "tests.server.letters", "mcp", *map(str, folders)],
            env={"PYTHONPATH": str(ROOT), "HYBRID_CACHE": "off"},
            cwd=ROOT,
        )
        async with Client(server) as client:
            return await scene(client)

    return asyncio.run(run())


def test_search_and_read(both):
    async def scene(client):
        tools = (await client.list_tools()).tools
        found = await client.call_tool("search", {"query": "warm bread", "k": 2, "where": {"year": 2023}})
        top = found.structured_content["hits"][0]["id"]
        whole = await client.call_tool("read", {"id": top})
        part = await client.call_tool("read", {"id": top, "start": 5})
        return tools, found, whole.structured_content, part.structured_content, client.instructions

    tools, found, whole, part, instructions = talk(scene, both)
    assert [tool.name for tool in tools] == ["search", "read"]
    assert "query" in tools[0].input_schema["required"]
    with hybrid.open(both) as index:
        expected = index.search("warm bread", 2, {"year": 2023})
    assert [hit["id"] for hit in found.structured_content["hits"]] == [hit.id for hit in expected]
    assert found.structured_content["hits"][0]["score"] == expected[0].score
    assert json.loads(found.content[0].text) == found.structured_content  # for clients without structure
    assert (whole["text"], whole["start"], whole["end"]) == (TEXTS[whole["id"]], 0, len(TEXTS[whole["id"]]))
    assert (part["text"], part["length"]) == (whole["text"][5:], whole["length"])
    assert f"both: {len(TEXTS)} documents, metadata length, year" in instructions


def test_errors_tell_an_assistant_what_to_do(both, words):
    calls = [
        ("search", {"query": "x"}, "say which index: both, words"),
        ("search", {"query": "x", "index": "none"}, "there is no index 'none'"),
        ("search", {"query": "x", "index": "both", "where": {"a": {"$no": 1}}}, "$no"),
        ("search", {"query": "x", "index": "both", "k": 0}, "greater than or equal to 1"),
        ("read", {"id": "nobody", "index": "words"}, "'nobody'"),
    ]

    async def scene(client):
        answers = [await client.call_tool(name, arguments) for name, arguments, _ in calls]
        fine = await client.call_tool("read", {"id": "cat", "index": "words"})
        return answers, fine

    answers, fine = talk(scene, both, words)
    for answer, (_, _, said) in zip(answers, calls, strict=True):
        assert answer.is_error
        assert said in answer.content[0].text
    assert fine.structured_content["title"] == "Cat"


def test_a_change_by_another_process_is_seen(tmp_path):
    folder = tmp_path / "index"
    hybrid.create(folder, [hybrid.Document("a", "ants")], hybrid.Pipeline([hybrid.BM25()])).close()

    async def scene(client):
        before = await client.call_tool("search", {"query": "bees"})
        with hybrid.open(folder, "w") as writer:
            writer.add([hybrid.Document("b", "bees")])
        after = await client.call_tool("search", {"query": "bees"})
        return [len(found.structured_content["hits"]) for found in (before, after)]

    assert talk(scene, folder) == [0, 1]


def test_an_index_that_was_replaced_is_opened_anew(tmp_path):
    folder = tmp_path / "index"
    hybrid.create(folder, [hybrid.Document("a", "ants")], hybrid.Pipeline([hybrid.BM25()])).close()

    async def scene(client):
        other = hybrid.Pipeline([hybrid.BM25(name="other")], name="other")
        hybrid.create(folder, [hybrid.Document("o", "an okapi")], other, overwrite=True).close()
        return await client.call_tool("search", {"query": "okapi"})

    found = talk(scene, folder)
    assert not found.is_error
    assert [hit["id"] for hit in found.structured_content["hits"]] == ["o"]
