import json

import pytest

from tests.standins.senders import DATA, HMS_TOKEN, WORDS, Huawei
from workers.standins.misbehaviour.settings import MisbehaviourSettings
from workers.standins.providers.exchange import Request
from workers.standins.providers.grants import AccessTokens
from workers.standins.providers.hms import Hms
from workers.standins.received_pushes import ReceivedPushes


@pytest.fixture
def huawei(standins, client, control):
    return Huawei(client, standins.credentials)


def code(answer) -> str:
    assert answer.status_code == 200
    return answer.json()["code"]


def test_a_message_is_accepted_for_each_of_its_tokens(huawei, control):
    answer = huawei.push(token=[HMS_TOKEN + "1", HMS_TOKEN + "2"])
    assert code(answer) == "80000000"
    received = control.get("/control/pushes").json()
    assert (received["count"], received["devices"]) == (2, 2)
    item = received["items"][1]
    assert (item["title"], item["body"]) == (WORDS["title"], WORDS["body"])
    assert (item["address"], item["collapse_key"]) == (HMS_TOKEN + "2", "story-12")
    assert {name: item[name] for name in DATA} == DATA


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"token": []}, "80100003"),
        ({"token": HMS_TOKEN}, "80100003"),
        ({"token": [12]}, "80100003"),
        ({"token": ["x"]}, "80300007"),
        ({"token": [f"{HMS_TOKEN}{n}" for n in range(1001)]}, "80300010"),
        ({"data": {"not": "a string"}}, "80100003"),
        ({"notification": ["x"]}, "80100003"),
        ({"surprise": 1}, "80100003"),
        ({"android": {"surprise": 1}}, "80100003"),
        ({"android": {"urgency": "LOUD"}}, "80100001"),
        ({"android": {"ttl": "soon"}}, "80100001"),
        ({"android": {"ttl": "1296001s"}}, "80100001"),
        ({"android": {"ttl": "0s"}}, "80100004"),
        ({"android": {"collapse_key": 101}}, "80100013"),
        ({"android": {"collapse_key": "story-12"}}, "80100013"),
        ({"android": {"notification": WORDS}}, "80100003"),
        ({"android": {"notification": WORDS | {"click_action": {"type": 2}}}}, "80100003"),
        ({"data": "x" * 4096}, "80300008"),
    ],
)
def test_what_huawei_forbids_is_a_code_in_an_answer_of_200(huawei, control, change, expected):
    assert code(huawei.push(**change)) == expected
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_thousand_tokens_fit_one_request(huawei, control):
    tokens = [f"{HMS_TOKEN}{n}" for n in range(1000)]
    assert code(huawei.push(token=tokens)) == "80000000"
    assert control.get("/control/pushes?provider=hms&limit=0").json()["devices"] == 1000


def test_illegal_tokens_are_listed_and_the_others_are_pushed_to(huawei, control):
    answer = huawei.push(token=[HMS_TOKEN, "short"])
    assert code(answer) == "80100000"
    report = json.loads(answer.json()["msg"])
    assert report == {"success": 1, "failure": 1, "illegal_tokens": ["short"]}
    assert control.get("/control/pushes").json()["count"] == 1


def test_gone_devices_are_illegal_tokens_and_other_faults_hit_the_whole_request(huawei, control):
    control.put("/control/weather", json={"provider": "hms", "share": {"gone": 0.5}})
    tokens = [f"{HMS_TOKEN}{n}" for n in range(100)]
    report = json.loads(huawei.push(token=tokens).json()["msg"])
    assert 30 < report["failure"] < 70
    items = control.get("/control/pushes?limit=200").json()["items"]
    assert {item["address"] for item in items} == set(tokens) - set(report["illegal_tokens"])
    control.put("/control/weather", json={"provider": "hms", "share": {"503": 1}})
    assert huawei.push(token=tokens).status_code == 503
    control.put("/control/weather", json={"provider": "hms", "share": {"500": 1}})
    assert code(huawei.push(token=tokens)) == "81000001"
    assert control.get("/control/pushes?limit=0").json()["count"] == report["success"]


def test_validate_only_stores_nothing(huawei, control):
    assert code(huawei.push(validate_only=True)) == "80000000"
    assert control.get("/control/pushes").json()["count"] == 0


def test_the_sender_must_have_a_token_for_this_app(huawei):
    assert code(huawei.push(authorization="Bearer nonsense")) == "80200001"
    assert code(huawei.push(authorization="")) == "80200001"
    assert code(huawei.push(app_id="999")) == "80300002"
    assert huawei.client.get(huawei.settings["HMS_URL"] + "/v1/x").status_code == 404


def test_an_expired_token_has_another_code_than_a_wrong_one():
    tokens = AccessTokens(b"secret", "DQ")
    hms = Hms(ReceivedPushes(), MisbehaviourSettings(), "1", "secret", tokens)
    headers = {"authorization": f"Bearer {tokens.issue(-1)}"}
    answer = hms.answer(Request("POST", "/v1/1/messages:send", headers, b"{}"))
    assert json.loads(answer.body)["code"] == "80200003"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"grant_type": "password"}, 400),
        ({"client_secret": "wrong"}, 401),
        ({"client_secret": "naïve"}, 401),
        ({"client_id": "999"}, 401),
    ],
)
def test_the_token_endpoint_checks_the_credentials(huawei, change, status):
    assert huawei.grant(**change).status_code == status
