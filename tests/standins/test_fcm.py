import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.standins.senders import DATA, FCM_TOKEN, FID, WORDS

BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def details(answer) -> dict[str, dict]:
    return {each["@type"]: each for each in answer.json()["error"].get("details", [])}


def fields(answer) -> list[str]:
    return [each["field"] for each in details(answer)[BAD_REQUEST]["fieldViolations"]]


@pytest.mark.parametrize("target", [{"token": FCM_TOKEN}, {"token": None, "fid": FID}])
def test_a_message_to_a_token_or_a_fid_is_accepted(google, control, target):
    answer = google.push(**target)
    assert answer.status_code == 200
    assert answer.json()["name"].startswith("projects/newszop-demo/messages/")
    [item] = control.get("/control/pushes").json()["items"]
    assert item["address"] == (target.get("fid") or target["token"])
    assert (item["title"], item["body"]) == (WORDS["title"], WORDS["body"])
    assert item["collapse_key"] == "story-12"
    assert {name: item[name] for name in DATA} == DATA


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"priority": "high"}, "message"),
        ({"android": {"prio": "HIGH"}}, "message.android"),
        ({"notification": {"titel": "x"}}, "message.notification"),
        ({"android": {"priority": "URGENT"}}, "message.android.priority"),
        ({"android": {"ttl": "3600"}}, "message.android.ttl"),
        ({"android": {"ttl": 3600}}, "message.android.ttl"),
        ({"android": {"direct_boot_ok": "yes"}}, "message.android.direct_boot_ok"),
        ({"data": {"n": 12}}, "message.data[0].value"),
        ({"data": {"a": "b", "n": None}}, "message.data[1].value"),
        ({"data": ["a"]}, "message.data"),
        ({"fid": FID}, "message"),
        ({"topic": "news"}, "message"),
    ],
)
def test_a_message_that_breaks_the_schema_names_the_field_and_no_fcm_error(google, message, field):
    answer = google.push(**message)
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert fields(answer) == [field]
    assert FCM_ERROR not in details(answer)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"token": None}, "message"),
        ({"token": ""}, "message"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {"ttl": "-1s"}}, "message.android.ttl"),
        ({"data": {"from": "x"}}, "message.data"),
        ({"data": {"message_type": "x"}}, "message.data"),
        ({"data": {"google.x": "x"}}, "message.data"),
        ({"data": {"gcm.notification.x": "x"}}, "message.data"),
        ({"android": {"data": {"gcm": "x"}}}, "message.android.data"),
        ({"android": {"notification": {"color": "red"}}}, "message.android.notification.color"),
        ({"android": {"notification": {"color": "#f00"}}}, "message.android.notification.color"),
        ({"android_v2": {"ttl": "60s"}}, "message.android_v2"),
        ({"android_v2": {"remoteNotification": {}, "backgroundSync": {}}}, "message.android_v2"),
    ],
)
def test_a_message_that_breaks_a_rule_names_the_field_and_the_fcm_error(google, message, field):
    answer = google.push(**message)
    assert answer.status_code == 400
    assert fields(answer) == [field]
    assert details(answer)[FCM_ERROR]["errorCode"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "target",
    [
        {"token": FID},
        {"token": "short:token"},
        {"token": "spaces in:" + "x" * 40},
        {"token": None, "fid": FCM_TOKEN},
        {"token": None, "fid": "short"},
    ],
)
def test_a_malformed_address_has_an_fcm_error_and_names_no_field(google, control, target):
    answer = google.push(**target)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"] == "The registration token is not a valid FCM registration token"
    assert list(details(answer)) == [FCM_ERROR]
    assert control.get("/control/pushes").json()["count"] == 0


def test_a_colour_has_six_hexadecimal_digits(google):
    assert google.push(android={"notification": {"color": "#B00020"}}).status_code == 200


def test_both_spellings_of_a_name_are_known(google):
    assert google.push(android={"collapseKey": "a", "directBootOk": True}).status_code == 200
    assert google.push(fcm_options={"analytics_label": "a"}).status_code == 200


def test_the_second_version_of_android_is_known(google, control):
    remote = {"mutableContent": True, "notification": WORDS}
    content = {"collapse_key": "s", "remote_notification": remote, "ttl": "60s"}
    assert google.push(android=None, notification=None, android_v2=content).status_code == 200
    [item] = control.get("/control/pushes").json()["items"]
    assert (item["title"], item["collapse_key"]) == (WORDS["title"], "s")


def test_keys_and_values_may_have_4096_bytes_together_and_no_more(google):
    largest = {"data": {"k": "x" * 4095}, "notification": None, "android": None}
    assert google.push(**largest).status_code == 200
    answer = google.push(**(largest | {"data": {"k": "x" * 4096}}))
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_validate_only_checks_and_stores_nothing(google, control):
    content = {"validate_only": True, "message": {"token": FCM_TOKEN, "data": DATA}}
    assert google.push(content=content).json()["name"].endswith("/fake_message_id")
    content["message"]["token"] = "nonsense"
    assert google.push(content=content).status_code == 400
    assert control.get("/control/pushes").json()["count"] == 0


@pytest.mark.parametrize("content", [{}, {"message": {}}, {"message": None}, {"nachricht": {}}])
def test_there_must_be_a_message(google, content):
    assert google.push(content=content).status_code == 400


def test_what_is_not_json_is_refused(google, client, standins):
    google.push()
    url = f"{standins.credentials['FCM_URL']}/v1/projects/newszop-demo/messages:send"
    headers = {"authorization": f"Bearer {google.token}", "content-type": "application/json"}
    for body in (b"", b"{", b"[1]", b"\xff", b"[" * 4000):
        assert client.post(url, content=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "authorization", ["Bearer ya29.nonsense", "Bearer x", "Basic x", "Bearer "]
)
def test_an_unknown_token_is_unauthenticated(google, authorization):
    answer = google.push(authorization=authorization)
    assert answer.status_code == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_another_project_is_denied_and_another_path_is_an_html_page(google):
    answer = google.push(project="somebody-elses")
    assert answer.status_code == 403
    assert answer.json()["error"]["status"] == "PERMISSION_DENIED"
    assert not details(answer)
    answer = google.push(path="/v1/projects/newszop-demo/messages:sendAll")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_a_valid_grant_gives_a_token_for_an_hour(google):
    answer = google.grant(google.assertion()).json()
    assert answer["token_type"] == "Bearer"
    assert 3500 < answer["expires_in"] <= 3600
    assert google.grant(google.assertion(aud=google.account["token_uri"])).status_code == 200


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"aud": "https://example.com/token"}, "invalid_grant"),
        ({"iss": "stranger@example.com"}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"exp": int(time.time()) + 7200}, "invalid_grant"),
        ({"exp": int(time.time()) - 600}, "invalid_grant"),
        ({"iat": None}, "invalid_grant"),
        ({"key": rsa.generate_private_key(65537, 2048)}, "invalid_grant"),
        ({"key": "s" * 32, "algorithm": "HS256"}, "invalid_grant"),
    ],
)
def test_a_grant_must_be_ours_and_short_lived(google, change, error):
    answer = google.grant(google.assertion(**change))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_another_kind_of_grant_is_not_supported(google):
    answer = google.grant("x", "password")
    assert answer.json()["error"] == "unsupported_grant_type"
