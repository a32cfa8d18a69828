"""Reports: the same numbers as JSON and as CSV, for those who may send alerts."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from service.api.reports.csv_answer import csv_answer
from service.domain.delivery import State
from service.domain.people import Scope
from service.store.readers import receipts
from service.store.readers.receipts import Mark
from service.store.session import transaction
from tests import builders as a


@pytest.fixture
def alert_id(engine):
    with transaction(engine) as session:
        created_at = datetime.now(UTC) - timedelta(minutes=5)
        alert = a.an_alert(session, a.a_story(session), created_at=created_at)
        a.a_batch(session, alert, [State.ACCEPTED] * 3 + [State.BURIED], provider="fcm")
        for position in (0, 2):
            receipts.add_mark(session, alert.id, 0, 0, position, Mark.OPENED)
        return alert.id


@pytest.fixture
def get(client, make_key):
    headers = {"Authorization": f"Bearer {make_key(Scope.ALERTS_WRITE)}"}
    return lambda path: client.get(f"/api/reports{path}", headers=headers)


def table(answer):
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_an_alerts_result_adds_up(get, alert_id):
    result = get(f"/alerts/{alert_id}").json()
    reach = {"planned": 4, "accepted": 3, "shown": 0, "opened": 2, "known": 4}
    assert result["total"] == result["by_app"]["fcm"] == result["by_provider"]["fcm"] == reach
    assert result["opened_within"] == {"1": 0, "10": 2, "60": 2}
    assert result["openings"] == [{"minute": 5, "opened": 2}]
    assert (result["final"], result["sample"], result["usual"]) == (False, False, None)


def test_every_table_is_there_as_csv(get, alert_id):
    tables = {
        name: table(get(f"/alerts/{alert_id}/{name}.csv"))
        for name in ("summary", "openings", "apps", "languages", "topics", "departures")
    }
    assert tables["openings"] == [{"minute": "5", "opened": "2"}]
    assert tables["apps"][0]["app"] == "fcm"
    assert tables["summary"][0]["opened_within_10_min"] == "2"
    assert [row["departure"] for row in tables["departures"]] == [
        "unfollows", "mutes", "removals", "gone",
    ]  # fmt: skip
    assert get(f"/alerts/{alert_id}/nothing.csv").status_code == 404
    assert get("/alerts/1").status_code == 404


def test_a_cell_that_a_spreadsheet_would_calculate_is_text():
    answer = csv_answer("name", ["title", "n"], [["=1+1", -1], ["a, b", None]])
    assert answer.body.decode("utf-8-sig") == 'title,n\r\n\'=1+1,-1\r\n"a, b",\r\n'
