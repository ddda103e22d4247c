"""The ``where`` language, against a reader of its table that looks at one document at a time."""

from __future__ import annotations

import json
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.errors import FilterError
from hybrid.index import Segment, SegmentWriter, metadata, parse_filter
from hybrid.index.filters import And, Exists, Not, OneOf, Or, Range, evaluate

COMPARE = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def columns_of(path, records):
    with SegmentWriter(path) as out:
        metadata.write(out, "m", records)
    return metadata.columns(Segment.open(path, verify=True), "m")


def matching(path, records, where):
    return evaluate(parse_filter(where), columns_of(path, records), len(records)).tolist()


# An independent, naive evaluator: straight from the table in the docstring.


def found(value, keys):
    """Every value at a path, where ``keys`` are the dotted path's words; lists are looked into."""
    if isinstance(value, list):
        return [hit for item in value for hit in found(item, keys)] if value or keys else [{}]
    if not keys:
        return [value]
    if not isinstance(value, dict):
        return []
    hits = []
    for cut in range(1, len(keys) + 1):  # a key may itself hold dots
        name = ".".join(keys[:cut])
        if name in value:
            hits += found(value[name], keys[cut:])
    return hits


def kind(value):
    if value is None or isinstance(value, bool):
        return type(value)
    return str if isinstance(value, str) else float if isinstance(value, (int, float)) else dict


def equal(a, b):
    return kind(a) is kind(b) is not dict and a == b


def holds(record, where):
    checks = {
        "$and": lambda parts: all(holds(record, part) for part in parts),
        "$or": lambda parts: any(holds(record, part) for part in parts),
        "$nor": lambda parts: not any(holds(record, part) for part in parts),
        "$not": lambda part: not holds(record, part),
    }
    return all(
        checks[key](operand) if key in checks else field_holds(found(record, key.split(".")), operand)
        for key, operand in where.items()
    )


def field_holds(values, condition):
    if not isinstance(condition, dict):
        condition = {"$eq": condition}

    checks = {
        "$eq": lambda operand: any(equal(value, operand) for value in values),
        "$in": lambda operand: any(equal(value, each) for value in values for each in operand),
        "$ne": lambda operand: not checks["$eq"](operand),
        "$nin": lambda operand: not checks["$in"](operand),
        "$exists": lambda operand: bool(values) == operand,
        "$not": lambda operand: not field_holds(values, operand),
    }

    def compares(op, operand):
        return any(kind(value) is kind(operand) and COMPARE[op](value, operand) for value in values)

    return all(
        checks[op](operand) if op in checks else compares(op, operand) for op, operand in condition.items()
    )


keys = st.sampled_from(["a", "b", "a.b", "é"])
scalars = st.sampled_from(
    [None, True, False, 0, 1, 1.0, -1, 0.5, -0.0, 2**53, 2**53 + 1, 2.0**53, 2**80, "", "a", "b", "é", "1"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=5,
)
records = st.lists(st.dictionaries(keys, values, max_size=3), max_size=6)
paths = st.sampled_from(["a", "b", "a.b", "b.a", "a.a", "b.a.b", "é", "nowhere"])
bounds = scalars.filter(lambda value: value is not None and not isinstance(value, bool))
conditions = st.recursive(
    scalars
    | st.dictionaries(st.sampled_from(["$eq", "$ne"]), scalars, min_size=1)
    | st.dictionaries(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=3), min_size=1)
    | st.dictionaries(st.sampled_from(sorted(COMPARE)), bounds, min_size=1, max_size=2)
    | st.fixed_dictionaries({"$exists": st.booleans()}),
    lambda inner: st.fixed_dictionaries({"$not": inner.filter(lambda value: isinstance(value, dict))}),
    max_leaves=2,
)
filters = st.recursive(
    st.dictionaries(paths, conditions, max_size=2),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3), max_size=2
        )
        | st.fixed_dictionaries({"$not": inner})
        | st.tuples(inner, inner).map(lambda pair: {**pair[0], **pair[1]})
    ),
    max_leaves=4,
)


@given(records, st.lists(filters, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_filters_agree_with_the_naive_reader(tmp_path_factory, records, wheres):
    columns = columns_of(tmp_path_factory.mktemp("filters") / "s.seg", records)
    for where in wheres:
        expected = [holds(record, where) for record in records]
        assert evaluate(parse_filter(where), columns, len(records)).tolist() == expected, where


@given(
    st.lists(st.fixed_dictionaries({"a": scalars | st.lists(scalars, max_size=2)}), min_size=1, max_size=5),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_every_operator_agrees_with_the_naive_reader_at_the_edges(tmp_path_factory, records, data):
    present = [value for record in records for value in found(record, ["a"]) if kind(value) in (str, float)]
    bound = data.draw(st.sampled_from([*present, 1, "a"]))
    columns = columns_of(tmp_path_factory.mktemp("operators") / "s.seg", records)
    for op in ("$eq", "$ne", *COMPARE):
        where = {"a": {op: bound}}
        expected = [holds(record, where) for record in records]
        assert evaluate(parse_filter(where), columns, len(records)).tolist() == expected, where


RECORDS = [
    {"year": 2024, "lang": "en", "tags": ["x", "y"], "n": [0, 9]},
    {"year": 2020.0, "lang": "de", "tags": [], "flag": True, "a": {"b": 1}},
    {"year": None, "tags": ["y", 3], "flag": 1, "a.b": 1},
    {"authors": [{"name": "Ann"}, {"name": "Bo"}], "year": "2024"},
]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"year": 2024}, [1, 0, 0, 0]),
        ({"year": 2020}, [0, 1, 0, 0]),
        ({"year": None}, [0, 0, 1, 0]),
        ({"year": {"$ne": 2024}}, [0, 1, 1, 1]),
        ({"lang": {"$ne": "en"}}, [0, 1, 1, 1]),
        ({"year": {"$gte": 2020, "$lt": 2024}}, [0, 1, 0, 0]),
        ({"year": {"$gt": 2020}}, [1, 0, 0, 0]),
        ({"year": {"$gte": 2020}}, [1, 1, 0, 0]),
        ({"year": {"$lt": 2024}}, [0, 1, 0, 0]),
        ({"year": {"$lte": 2024}}, [1, 1, 0, 0]),
        ({"year": {"$gte": "2"}}, [0, 0, 0, 1]),
        ({"n": {"$gt": 1, "$lt": 5}}, [1, 0, 0, 0]),
        ({"tags": "y"}, [1, 0, 1, 0]),
        ({"tags": {"$in": ["x", 3.0]}}, [1, 0, 1, 0]),
        ({"tags": {"$in": []}}, [0, 0, 0, 0]),
        ({"tags": {"$nin": []}}, [1, 1, 1, 1]),
        ({"tags": {"$exists": True}}, [1, 1, 1, 0]),
        ({"flag": True}, [0, 1, 0, 0]),
        ({"flag": 1}, [0, 0, 1, 0]),
        ({"a.b": 1}, [0, 1, 1, 0]),
        ({"a": {"$exists": True}}, [0, 1, 0, 0]),
        ({"authors.name": "Bo"}, [0, 0, 0, 1]),
        ({"year": {"$not": {"$gt": 2020}}}, [0, 1, 1, 1]),
        ({"$nor": [{"lang": "en"}, {"flag": True}]}, [0, 0, 1, 1]),
        ({"$or": [{"lang": "en"}, {"lang": "de"}], "tags": "x"}, [1, 0, 0, 0]),
        ({"$not": {"lang": {"$exists": True}}}, [0, 0, 1, 1]),
        ({"absent": {"$exists": False}}, [1, 1, 1, 1]),
    ],
)
def test_hand_worked_cases(tmp_path, where, expected):
    assert matching(tmp_path / "s.seg", RECORDS, where) == [bool(each) for each in expected]


def test_a_filter_becomes_a_tree_of_values():
    where = {"year": {"$gte": 2020, "$ne": 2022}, "$or": [{"lang": "en"}, {"x": {"$exists": False}}]}
    assert parse_filter(where) == And(
        (
            And((Range("year", "$gte", 2020), Not(OneOf("year", (2022,))))),
            Or((OneOf("lang", ("en",)), Not(Exists("x")))),
        )
    )
    assert parse_filter({"$nor": [{"a": {"$nin": [1, 2]}}]}) == Not(Or((Not(OneOf("a", (1, 2))),)))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ([], r"^where must be an object such as .*, got list \[\]"),
        ("year = 3", r"where must be an object"),
        ({3: 4}, r"where: a field's name must be a string, got int 3"),
        (
            {"$xor": []},
            r"where: unknown operator '\$xor'; accepted here: \$and, \$or, \$nor, \$not, and names",
        ),
        ({"$gt": 3}, r"unknown operator '\$gt'; it goes inside a field"),
        (
            {"year": {"$regex": "x"}},
            r"where.year: unknown operator '\$regex'; accepted here: \$eq, \$ne, \$in",
        ),
        ({"a": {"b": 1}}, r"where.a: unknown operator 'b'; for a nested field write 'a.b'"),
        ({"a": {3: 1}}, r"where.a: unknown operator 3"),
        ({"a": {}}, r"where.a is an empty object; accepted: \$eq"),
        ({"a": [1, 2]}, r"where.a: cannot compare with list \[1, 2\]; .* write \$in"),
        ({"a": {"$in": "en"}}, r"where.a.\$in takes a list of values, got str 'en'"),
        ({"a": {"$nin": [1, [2]]}}, r"where.a.\$nin\[1\]: cannot compare with list \[2\]"),
        ({"a": {"$gt": True}}, r"where.a.\$gt takes a string or a finite number, got bool True"),
        ({"a": {"$lte": None}}, r"where.a.\$lte takes a string or a finite number, got NoneType"),
        ({"a": {"$lt": [1]}}, r"where.a.\$lt takes a string or a finite number, got list"),
        ({"a": {"$gte": float("nan")}}, r"where.a.\$gte takes a string or a finite number, got float nan"),
        (
            {"a": float("inf")},
            r"where.a: cannot compare with float inf; accepted is a string, a finite number",
        ),
        ({"a": {"$eq": {"b": 1}}}, r"where.a.\$eq: cannot compare with dict"),
        ({"a": {"$exists": 1}}, r"where.a.\$exists takes true or false, got int 1"),
        (
            {"a": {"$not": 3}},
            r"where.a.\$not takes an object of operators, got int 3; for a value write \$ne",
        ),
        ({"$and": []}, r"where.\$and takes a list of one or more filters, got list \[\]"),
        ({"$or": {"a": 1}}, r"where.\$or takes a list of one or more filters, got dict"),
        ({"$not": [{"a": 1}]}, r"where.\$not must be an object"),
        ({"$or": [{"a": 1}, {"b": {"$near": 1}}]}, r"where.\$or\[1\].b: unknown operator '\$near'"),
    ],
)
def test_malformed_filters_say_where_and_what_is_accepted(where, message):
    with pytest.raises(FilterError, match=message):
        parse_filter(where)


def deep(levels):
    return {"$and": [deep(levels - 1)]} if levels else {"a": 1}


def test_depth_is_limited():
    assert parse_filter(deep(32)) == json_and(32)
    with pytest.raises(FilterError, match="nested over 32 levels deep"):
        parse_filter(deep(33))
    endless: dict = {}
    endless["$not"] = endless
    with pytest.raises(FilterError, match="nested over 32 levels deep"):
        parse_filter(endless)
    with pytest.raises(FilterError, match="takes a list of values"):
        parse_filter({"a": {"$in": deep(5000 // 10)}})


def json_and(levels):
    node = OneOf("a", (1,))
    for _ in range(levels):
        node = And((node,))
    return node


def test_columns_hold_each_field_once_in_order(tmp_path):
    columns = columns_of(
        tmp_path / "s.seg", [{"b": [3, 1, 3], "a": "x"}, {"b": [None, True, "s", 1.0, 2**70]}]
    )
    assert columns.names() == ["a", "b"]
    field = columns.field("b")
    assert json.dumps(field.dictionary) == json.dumps([None, True, 1, 3, 2**70, "s"])
    assert np.stack((field.documents, field.codes)).T.tolist() == [
        [0, 2], [0, 3], [1, 0], [1, 1], [1, 2], [1, 4], [1, 5],
    ]  # fmt: skip
    assert columns.field("c") is None
    assert columns.field("b") is field
