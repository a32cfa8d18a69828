"""What we build is what the stand-ins, as strict as the real ones, accept and understand."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.domain.alert import Words
from service.domain.device import Registration
from service.domain.subscription import Urgency
from service.domain.verdict import (
    Accepted,
    AlertRejected,
    DeviceGone,
    DeviceRefused,
    SenderRejected,
    TryLater,
)
from tests.credentials import a_p256_key, pem
from tests.providers.examples import ADDRESSES, alert_content
from workers import provider as providers
from workers.provider import Answer, Credential, Provider, Request, Target
from workers.standins.process import StandinsProcess

SENDING = ["apns", "expo", "fcm", "hms", "webpush"]
PREFIXES = ("APNS_", "FCM_", "WEBPUSH_", "HMS_", "EXPO_")


@pytest.fixture(scope="module")
def found(standins: StandinsProcess) -> Callable[[str], Provider]:
    """Providers that are configured for the stand-ins."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in standins.credentials.items():
            patch.setenv(name, value)
        made = {name: providers.load_provider(name) for name in SENDING}
    return made.__getitem__


@pytest.fixture(scope="module")
def client(standins: StandinsProcess) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=standins.ca_file)
    with httpx.Client(http2=True, verify=trust, trust_env=False, timeout=30) as opened:
        yield opened


@pytest.fixture
def control(standins: StandinsProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=standins.control, trust_env=False, timeout=30) as opened:
        opened.delete("/control/weather").raise_for_status()
        opened.delete("/control/pushes").raise_for_status()
        yield opened
        opened.delete("/control/weather").raise_for_status()


def send(client: httpx.Client, request: Request) -> Answer:
    pairs = [tuple(line.split(": ", 1)) for line in request.headers]
    got = client.request(request.method, request.url, headers=pairs, content=request.body)
    headers = {name.lower(): value for name, value in got.headers.items()}
    return Answer(got.status_code, headers, got.content[: request.answer_limit])


def mint(client: httpx.Client, provider: Provider) -> Credential:
    minting = provider.credential(datetime.now(UTC))
    try:
        request = next(minting)
        while True:
            request = minting.send(send(client, request))
    except StopIteration as ended:
        return ended.value


def devices(control: httpx.Client, provider: Provider, count: int = 2) -> list[Target]:
    """Devices as they come out of registration."""
    if provider.name == "webpush":
        body = {"provider": "webpush", "count": count}
        made = control.post("/control/subscriptions", json=body).json()["items"]
        known = [Registration(provider="webpush", address=m["address"], **m["keys"]) for m in made]
    else:
        bare = ADDRESSES[provider.name].removesuffix("]")
        rest = ADDRESSES[provider.name].removeprefix(bare)
        known = [
            Registration(provider=provider.name, address=f"{bare[:-1]}{n}{rest}")
            for n in range(count)
        ]
    checked = [provider.check(registration) for registration in known]
    return [
        Target(
            position=n,
            delivery_id=f"7f0f2b52-0f33-5c0e-9d0b-{n:012x}",
            address=device.address,
            kind=device.kind,
            p256dh=device.p256dh,
            auth=device.auth,
            locale="",
            receipt="r" * 35,
        )
        for n, device in enumerate(checked)
    ]


def push(client: httpx.Client, provider: Provider, targets: list[Target], **given: Any) -> list:
    now = datetime.now(UTC)
    content = alert_content(**{"expires_at": now + timedelta(hours=1)} | given)
    pushes = provider.pushes(content, mint(client, provider))
    verdicts = []
    for request in pushes.requests(targets, now):
        verdicts += provider.read_answer(send(client, request), request.positions)
    return verdicts


WORDS = {
    "plain": Words("Rain at last", "It rains everywhere."),
    "hindi": Words("बारिश का अलर्ट", "तेज़ बारिश, क्षत्रिय मोहल्ले में पानी भरा। " * 200),
    "emoji": Words("👨‍👩‍👧‍👦 Rain 🇮🇳", "👍🏽🌧️👨‍👩‍👧‍👦" * 400),
    "arabic": Words("NASA: مطر", "مطر غزير " * 600),
    "quotes": Words('"Rain" \\ at last', 'He said "no\\yes"\n' * 400),
}


@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize("kind", WORDS)
def test_a_push_is_accepted_and_reads_as_it_was_written(found, client, control, name, kind):
    provider = found(name)
    words = WORDS[kind]
    given = {
        "words": {"": words},
        "language": {"hindi": "hi", "arabic": "ar"}.get(kind, "en"),
        "urgency": Urgency.BREAKING,
        "image_url": "https://news.example/" + "i" * 900,
    }
    targets = devices(control, provider)
    verdicts = push(client, provider, targets, **given)
    assert [type(verdict) for verdict in verdicts] == [Accepted, Accepted]
    got = control.get("/control/pushes", params={"provider": name}).json()
    assert got["count"] == got["devices"] == 2
    shown = provider.preview(alert_content(**given), "")
    for item in got["items"]:
        assert (item["title"], item["body"]) == (shown.title, shown.body)
        assert item["alert_id"] == alert_content().alert_id
        assert item["url"] == alert_content().url
        assert item["collapse_key"] == alert_content().collapse_key
        if name != "hms":
            assert item["receipt"] == "r" * 35
            assert item["delivery_id"].startswith("7f0f2b52")


@pytest.mark.parametrize("name", SENDING)
@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize("silent", [False, True])
def test_every_urgency_is_accepted_loud_and_silent(found, client, control, name, urgency, silent):
    targets = devices(control, found(name), 1)
    verdicts = push(client, found(name), targets, urgency=urgency, silent=silent)
    assert [type(verdict) for verdict in verdicts] == [Accepted]


@pytest.mark.parametrize("name", SENDING)
def test_the_longest_time_to_live_and_oddest_collapse_key_are_accepted(
    found, client, control, name
):
    given = {
        "expires_at": datetime.now(UTC) + timedelta(days=28),
        "collapse_key": "story/é " + "k" * 100,
    }
    targets = devices(control, found(name), 1)
    assert [type(v) for v in push(client, found(name), targets, **given)] == [Accepted]


def test_an_installation_id_is_accepted(found, client, control):
    fcm = found("fcm")
    fid = fcm.check(Registration(provider="fcm", address="cXJzdHV2d3h5eoGCg4SFhg"))
    target = Target(
        0, "7f0f2b52-0f33-5c0e-9d0b-000000000000", fid.address, fid.kind, None, None, "", "r"
    )
    assert [type(verdict) for verdict in push(client, fcm, [target])] == [Accepted]


def test_a_thousand_huawei_devices_take_one_request(found, client, control):
    hms = found("hms")
    targets = [
        Target(n, f"d-{n}", f"IQAAAACy{n:0100d}", "token", None, None, "", "r") for n in range(1000)
    ]
    verdicts = push(client, hms, targets)
    assert [type(verdict) for verdict in verdicts] == [Accepted] * 1000
    assert control.get("/control/pushes", params={"provider": "hms"}).json()["devices"] == 1000


@pytest.mark.parametrize(
    ("name", "share", "verdict"),
    [
        ("apns", "429", TryLater),
        ("apns", "500", TryLater),
        ("apns", "503", TryLater),
        ("apns", "gone", DeviceGone),
        ("apns", "refused", DeviceGone),
        ("fcm", "429", TryLater),
        ("fcm", "503", TryLater),
        ("fcm", "gone", DeviceGone),
        ("fcm", "refused", DeviceGone),
        ("webpush", "429", TryLater),
        ("webpush", "503", TryLater),
        ("webpush", "gone", DeviceGone),
        ("webpush", "refused", DeviceRefused),
        ("hms", "503", TryLater),
        ("hms", "gone", DeviceGone),
        ("expo", "429", TryLater),
        ("expo", "500", TryLater),
        ("expo", "gone", DeviceGone),
        ("expo", "refused", DeviceRefused),
    ],
)
def test_bad_weather_is_read_as_what_it_is(found, client, control, name, share, verdict):
    targets = devices(control, found(name), 1)
    weather = {"provider": name, "share": {share: 1.0}}
    control.put("/control/weather", json=weather).raise_for_status()
    [read] = push(client, found(name), targets)
    assert type(read) is verdict


@pytest.mark.parametrize("name", SENDING)
def test_a_revoked_key_blames_us_and_no_device(found, client, control, tmp_path, name):
    """Another key than the one the other side knows: a person is told what to do."""
    settings = found(name).settings
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(pem(a_p256_key()))
    change = {
        "apns": {"key_file": stranger},
        "hms": {"app_secret": "a secret of nobody"},
        "expo": {"access_token": "a token of nobody"},
        "webpush": {"vapid_key_file": stranger},
    }
    provider = type(found(name))(settings.model_copy(update=change.get(name, {})))
    targets = devices(control, provider, 1)
    if name == "webpush":
        assert push(client, found(name), targets)
        [read] = push(client, provider, targets)
        assert isinstance(read, DeviceGone)
        assert read.doubtful
    elif name == "hms":
        with pytest.raises(providers.CredentialRefused) as refused:
            mint(client, provider)
        assert "HMS_APP_SECRET" in refused.value.verdict.why
    elif name == "fcm":
        forged = Credential("ya29.nobody", datetime.now(UTC), datetime.now(UTC))
        [request] = provider.pushes(alert_content(), forged).requests(targets, datetime.now(UTC))
        [read] = provider.read_answer(send(client, request), request.positions)
        assert read.remint
    else:
        [read] = push(client, provider, targets)
        assert isinstance(read, SenderRejected)


@pytest.mark.parametrize("name", ["apns", "expo", "fcm", "hms"])
def test_a_probe_finds_all_well_and_pushes_nothing(found, client, control, name):
    provider = found(name)
    now = datetime.now(UTC)
    request = provider.probe(mint(client, provider), now)
    [read] = provider.read_answer(send(client, request), (0,))
    assert not isinstance(read, SenderRejected | AlertRejected)
    assert not isinstance(read, TryLater)
    assert control.get("/control/pushes").json()["count"] == 0


def test_tickets_lead_to_receipts(found, client, control):
    expo = found("expo")
    credential = mint(client, expo)
    accepted = push(client, expo, devices(control, expo, 2))
    tickets = [verdict.follow_up.ticket for verdict in accepted] + ["no-such-ticket"]
    answer = send(client, expo.follow_ups(tickets, credential))
    read = expo.read_follow_ups(answer, tickets)
    assert [type(verdict) for verdict in read] == [Accepted, Accepted, TryLater]


def test_settings_of_the_standins_are_those_that_providers_read(standins):
    known = {
        f"{cls.model_config['env_prefix']}{field}".upper()
        for cls in map(providers.settings_class, SENDING)
        for field in cls.model_fields
    }
    assert set(standins.credentials) <= known
    assert all(name.startswith(PREFIXES) for name in standins.credentials)
