from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import text

from service.domain.errors import Invalid, KeyReused
from service.store import idempotency
from service.store.session import transaction

WHO = ("key:1", "POST /x", "a key", b"hash")


def test_the_first_answer_is_found_again(session):
    assert idempotency.find(session, *WHO) is None
    idempotency.keep(session, *WHO, 202, {"id": "7"})
    assert idempotency.find(session, *WHO) == (202, {"id": "7"})


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_another_caller_endpoint_or_key_is_another_request(session, changed):
    idempotency.keep(session, *WHO, 202, {})
    other = [*WHO]
    other[changed] = "other"
    assert idempotency.find(session, *other) is None


def test_the_same_key_with_another_body_is_refused(session):
    idempotency.keep(session, *WHO, 202, {})
    with pytest.raises(KeyReused):
        idempotency.find(session, *WHO[:3], b"other")


def test_after_two_days_a_key_is_new(session):
    idempotency.keep(session, *WHO, 202, {"id": "old"})
    session.execute(text("UPDATE idempotency SET created_at = now() - interval '49 h'"))
    assert idempotency.find(session, *WHO) is None
    idempotency.keep(session, *WHO, 202, {"id": "new"})
    assert idempotency.find(session, *WHO) == (202, {"id": "new"})


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "a\x00b"])
def test_an_unfit_key_is_refused_by_name(session, key):
    with pytest.raises(Invalid) as refused:
        idempotency.find(session, "key:1", "POST /x", key, b"")
    assert refused.value.field == "Idempotency-Key"


def test_a_second_request_waits_for_the_first_and_gets_its_answer(engine):
    begun = Event()

    def second():
        begun.wait()
        with transaction(engine) as session:
            return idempotency.find(session, *WHO)

    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as first:
            assert idempotency.find(first, *WHO) is None
            waiting = pool.submit(second)
            begun.set()
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            idempotency.keep(first, *WHO, 202, {"id": "7"})
        assert waiting.result(5) == (202, {"id": "7"})
