"""A dead process's batches are free at once, and those of one that lives are not."""

from pathlib import Path

import pytest
from sqlalchemy import text

from service.domain.delivery import State
from service.store.deliveries import batch_claims
from service.store.session import open_engine, transaction
from tests import builders as a
from workers.upkeep.sender_locks import SenderLock, end_leases_of_dead


class MortalSender(SenderLock):
    """A sender that can die: the kernel closes its file, and nobody removes it."""

    def die(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None


@pytest.fixture
def alert(engine):
    """A running alert with three batches to claim."""
    with transaction(engine) as session:
        alert = a.an_alert(session, a.a_story(session), state="sending", started_at=a.NOON)
        for n in range(3):
            a.a_batch(session, alert, [State.PENDING] * 3, n=n)
        return alert.id


def claim(engine, alert, sender):
    with transaction(engine) as session:
        claims = batch_claims.claim(session, alert, "apns", lease_s=20, holder=sender.holder)
    return [each.n for each in claims]


def test_the_leases_of_a_process_that_died_end_at_once(engine, alert, tmp_path):
    dead, alive = MortalSender(tmp_path), SenderLock(tmp_path)
    assert [claim(engine, alert, each) for each in (dead, alive, dead)] == [[0], [1], [2]]
    assert end_leases_of_dead(tmp_path, engine) == 0
    assert claim(engine, alert, alive) == []
    dead.die()
    assert end_leases_of_dead(tmp_path, engine) == 2
    assert end_leases_of_dead(tmp_path, engine) == 0
    assert [claim(engine, alert, alive) for _ in range(3)] == [[0], [2], []]
    alive.close()


def test_while_the_database_is_away_a_dead_process_is_remembered(engine, alert, tmp_path):
    dead = MortalSender(tmp_path)
    assert claim(engine, alert, dead) == [0]
    dead.die()
    away = open_engine("postgresql://newszop@127.0.0.1:1/newszop")
    assert end_leases_of_dead(tmp_path, away) == 0
    assert end_leases_of_dead(tmp_path, engine) == 1


def test_a_claim_that_comes_to_pass_after_its_process_died_is_ended_too(engine, alert, tmp_path):
    dead = MortalSender(tmp_path)
    dead.die()
    assert end_leases_of_dead(tmp_path, engine) == 0
    assert claim(engine, alert, dead) == [0]
    assert end_leases_of_dead(tmp_path, engine) == 1
    assert files(tmp_path) == []


def test_a_process_that_ends_by_itself_leaves_no_file(tmp_path):
    sender = SenderLock(tmp_path)
    assert len(files(tmp_path)) == 1
    sender.close()
    assert files(tmp_path) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_without_a_folder_to_write_to_a_process_works_all_the_same(
    engine, alert, tmp_path, is_there
):
    folder = tmp_path / "a file"
    if is_there:
        folder.touch()
    sender = SenderLock(folder if is_there else None)
    assert claim(engine, alert, sender) == [0]
    sender.close()


def test_two_processes_and_their_claims_have_tokens_of_their_own(engine, alert, tmp_path):
    senders = [SenderLock(None) for _ in range(2)]
    for sender in (*senders, senders[0]):
        claim(engine, alert, sender)
    with transaction(engine) as session:
        tokens = session.execute(text("SELECT lease_token FROM batch ORDER BY n")).scalars().all()
    assert len(set(tokens)) == 3
    assert [token >> 32 for token in tokens] == [each.holder for each in (*senders, senders[0])]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
