"""Arrays in binary form: PostgreSQL reads what was written, whatever the values are."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from service.store.driver_statement import DriverStatement

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
ELEMENTS = {
    "text": TEXTS,
    "bytea": st.binary(max_size=8),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
}


@pytest.mark.parametrize("kind", [*ELEMENTS, "time"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arrays_arrive_as_they_were_sent(session, kind, data):
    element = ELEMENTS.get(kind, st.nothing())
    values = data.draw(st.lists(st.none() | element, max_size=5))
    statement = DriverStatement(
        f"SELECT CAST(:items AS {kind}[]) AS items, cardinality(CAST(:items AS {kind}[])) AS n"
    )
    (row,) = statement.run(session, {"items": values})
    assert row == (values, len(values))


@pytest.mark.parametrize(("kind", "value"), [("text", "a\0b"), ("int", 2**31), ("bigint", "1")])
def test_a_value_that_the_type_does_not_have_is_refused(session, kind, value):
    statement = DriverStatement(f"SELECT CAST(:items AS {kind}[]) AS items")
    with pytest.raises((DBAPIError, struct.error)):
        statement.run(session, {"items": [value]})
