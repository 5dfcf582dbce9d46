"""The embedded store against maggma's `MemoryStore` and a MongoDB server, on documents at random."""

from __future__ import annotations

import math
import sqlite3
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import bson
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from maggma.stores import MemoryStore
from pymongo.errors import OperationFailure

from atomate2_vogen.stores import EmbeddedStore

NAMES = ("a", "b", "c.d", "c.e", "list.x")
IDS = [bson.ObjectId(f"{number:024x}") for number in range(3)]
DATES = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(microseconds=1500 * n) for n in range(3)]

POOL = (
    None,
    *(False, True, -1, 0, 1, 2, 3, 2**53 + 1, -(2**63)),
    *(-0.0, 0.5, 1.0, 1.5, 2.0**53, math.inf, -math.inf, math.nan),
    *("", "a", "b", "ab", "é", "a\x00", "Z" * 300),
    *DATES,
    *(date.astimezone(timezone(timedelta(hours=2))) for date in DATES),
    *IDS,
)
OPAQUE = ([], [1], ["a", 3], [None], [[1]], {}, {"x": 1}, [{"x": 1}, {"x": "a"}])

scalars = st.sampled_from(POOL)
# in Python, whether two lists with NaN are equal depends on whether it is the same object
inner = scalars.filter(lambda value: value == value)
values = st.one_of(
    scalars,
    scalars,
    st.lists(inner, max_size=3),
    st.fixed_dictionaries({}, optional={"d": inner, "x": inner}),
    st.lists(st.fixed_dictionaries({}, optional={"x": inner, "y": inner}), max_size=3),
)
documents = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": values,
            "b": scalars,
            "c": st.one_of(
                st.fixed_dictionaries({}, optional={"d": values, "e": scalars}), scalars
            ),
            "list": st.lists(st.fixed_dictionaries({}, optional={"x": scalars}), max_size=2),
        },
    ),
    max_size=8,
)

# MongoDB and mongomock differ, or mongomock fails, on some values: these are left out of criteria
comparable = scalars.filter(lambda v: not isinstance(v, bson.ObjectId))
operators = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), scalars),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), comparable),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=4)),
    st.tuples(st.just("$all"), st.lists(scalars, min_size=1, max_size=2)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$regex"), st.sampled_from(["^a", "b$", "."])),
    st.tuples(st.just("$size"), st.integers(0, 2)),
    st.tuples(st.just("$type"), st.sampled_from(["string", "double", "bool", "date", "array"])),
    st.tuples(st.just("$elemMatch"), st.fixed_dictionaries({"x": scalars})),
    st.tuples(st.just("$not"), st.fixed_dictionaries({"$gt": comparable})),
)
fields = st.one_of(
    scalars,
    st.lists(operators, min_size=1, max_size=2).map(dict),
    st.lists(scalars, max_size=2),
)
conditions = st.dictionaries(st.sampled_from(NAMES), fields, max_size=2)
criteria = st.one_of(
    conditions,
    st.recursive(
        conditions,
        lambda inner: st.dictionaries(
            st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=2)
        ),
        max_leaves=4,
    ),
)
indexes = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), max_size=3
)
often = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def both(contents, indexed=()):
    """The same documents in an embedded store, indexed, and in one of maggma in memory."""
    named = [{"_id": number, "key": number, **content} for number, content in enumerate(contents)]
    memory = MemoryStore(key="key")
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore("documents", folder, key="key")
        store.connect()
        memory.connect()
        # some indexes are made before the documents, some after
        store.ensure_indexes(indexed[:1])
        for made in (store, memory):
            made.update([dict(content) for content in named], key="key")
        store.ensure_indexes(indexed)
        try:
            yield store, memory
        finally:
            store.close()


def same(first, second):
    """Equal, NaN to itself and true not to one."""
    return bson.encode({"": first}) == bson.encode({"": second})


def outcome(call):
    """What it returns, or the kind of what it raises."""
    try:
        return call()
    except (OperationFailure, NotImplementedError) as error:
        return type(error).__name__


def operands():
    """Every condition on one field with one operator."""
    for value in POOL:
        yield value
        for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"):
            if not (isinstance(value, bson.ObjectId) and operator in {"$gt", "$gte"}):
                yield {operator: value}
        for other in (None, True, 1, "a", DATES[0]):
            yield {"$in": [value, other]}
            yield {"$nin": [value, other]}
        yield {"$gt": value, "$lt": 3}
        yield {"$gte": "a", "$ne": value}
        yield {"$not": {"$gt": value}}
    for value in (True, False):
        yield {"$exists": value}
    for other in OPAQUE:
        yield from (other, {"$ne": other}, {"$in": [other, 1]}, {"$nin": [other]})
    yield from ({"$in": []}, {"$nin": []}, {"$size": 1}, {"$regex": "^a"}, {"$all": [1]})


@pytest.mark.parametrize("field", ["a", "c.d"])
@pytest.mark.parametrize("others", [(), (math.nan,), OPAQUE], ids=["plain", "nan", "arrays"])
def test_every_operator_on_every_value(field, others):
    """SQL decides on the scalars alone, and leaves what it must not decide."""
    plain = [value for value in POOL if value == value]
    values = [*plain, *others]
    contents = [{"a": v} if field == "a" else {"c": {"d": v}} for v in values]
    contents += [{}, {"c": None}, {"c": 5}] if field == "c.d" else [{}]
    with both(contents, [[field], ["key", field]]) as (store, memory):
        for operand in operands():
            forms = (
                {field: operand},
                {"$or": [{field: operand}, {"key": 3}]},
                {"$and": [{field: operand}, {"key": {"$gte": 0}}]},
            )
            for asked in forms[:1] if others else forms:
                expected = outcome(lambda asked=asked: [d["key"] for d in memory.query(asked)])
                found = outcome(lambda asked=asked: [d["key"] for d in store.query(asked)])
                assert found == expected, asked
                assert isinstance(expected, str) or store.count(asked) == len(expected), asked
        opaque = store._collection._tables.columns(
            sqlite3.connect(store._collection._database.path)
        )
        assert opaque[field].has_opaque == bool(others)
        for sort in ({field: 1}, {field: -1}, {field: 1, "key": -1}):
            for limit in (0, 7):
                found, expected = (
                    [d["key"] for d in made.query({}, sort=sort, skip=2, limit=limit)]
                    for made in (store, memory)
                )
                assert found == expected, sort


@given(documents, criteria, indexes)
@often
def test_criteria_find_what_they_find_in_memory(contents, asked, indexed):
    with both(contents, indexed) as (store, memory):
        expected = outcome(lambda: list(memory.query(asked)))
        # without documents, maggma's store does not look at the criteria
        assume(not isinstance(expected, str) or contents)
        assert same(outcome(lambda: list(store.query(asked))), expected)
        if not isinstance(expected, str):
            assert store.count(asked) == len(expected)
            store.remove_docs(asked)
            memory.remove_docs(asked)
            assert same(list(store.query()), list(memory.query()))


@given(
    documents,
    conditions,
    indexes,
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1, -1]), min_size=1, max_size=2),
    st.integers(0, 3),
    st.integers(0, 3),
)
@often
def test_sorting_skipping_and_limits_agree(contents, asked, indexed, sort, skip, limit):
    with both(contents, indexed) as (store, memory):
        expected = outcome(lambda: list(memory.query(asked, sort=sort, skip=skip, limit=limit)))
        assume(not isinstance(expected, str))
        found = list(store.query(asked, sort=sort, skip=skip, limit=limit))
        assert same(found, expected)


@given(
    documents,
    st.one_of(
        st.lists(st.sampled_from([*NAMES, "_id", "c", "list"]), max_size=3, unique=True),
        # below a field that is no document, mongomock excludes the field itself
        st.dictionaries(st.sampled_from(["a", "b", "c"]), st.just(0), min_size=1, max_size=3),
        st.dictionaries(st.sampled_from([*NAMES, "c"]), st.just(1), min_size=1, max_size=3).map(
            lambda names: names | {"_id": 0}
        ),
    ),
)
@often
def test_properties_agree(contents, properties):
    with both(contents) as (store, memory):
        # mongomock fails on scalars in arrays, and on a field together with one below it
        try:
            expected = list(memory.query({}, properties=properties))
        except (OperationFailure, NotImplementedError, AttributeError):
            reject()
        found = list(store.query({}, properties=properties))
        # the order of the fields is that of the document; mongomock puts the id last
        assert same(
            [dict(sorted(d.items())) for d in found], [dict(sorted(d.items())) for d in expected]
        )


@given(documents, st.sampled_from(NAMES), indexes)
@often
def test_distinct_values_agree(contents, field, indexed):
    with both(contents, indexed) as (store, memory):
        try:
            expected = memory.distinct(field)
        except (TypeError, AttributeError):
            reject()  # mongomock fails on arrays and documents

        def plain(found):
            # mongomock takes True for one; of one and one point zero either may be named
            made = [float(value) if isinstance(value, int | float) else value for value in found]
            return {bson.encode({"": value}) for value in made}

        assert plain(store.distinct(field)) == plain(expected)


@given(documents, documents, st.sampled_from([["a"], ["b"], ["a", "b"]]), indexes)
@often
def test_updates_by_key_agree(contents, changes, key, indexed):
    changed = [{**change, "new": n} for n, change in enumerate(changes) if {*key} <= {*change}]
    with both(contents, indexed) as (store, memory):
        for one in changed:
            if outcome(lambda one=one: memory.update(dict(one), key=key)) is None:
                store.update(dict(one), key=key)
        named = [{**d, "_id": None} for d in memory.query()]
        assert same([{**d, "_id": None} for d in store.query()], named)


def test_what_no_server_understands_is_refused_even_by_an_empty_store(tmp_path):
    with EmbeddedStore("documents", tmp_path) as store:
        for wrong in ({"a": {"$gtt": 1}}, {"$ox": []}, {"$or": []}):
            with pytest.raises(OperationFailure):
                list(store.query(wrong))
        for properties in ({"a": 1, "b": 0}, {"a": {"$slice": 2}}):
            with pytest.raises(OperationFailure):
                list(store.query({}, properties))
