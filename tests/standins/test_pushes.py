import random

from workers.standins.received import PLAIN_SEGMENTS, SEGMENT, Push, Pushes


def push(number: int, alert_id: str = "1", provider: str = "apns") -> Push:
    return Push(provider, f"device {number}", alert_id, "key", f"payload {number}".encode(), number)


def test_pushes_are_the_same_whether_open_sealed_or_compressed():
    pushes = Pushes()
    kept = [push(number) for number in range((PLAIN_SEGMENTS + 3) * SEGMENT + 5)]
    for each in kept:
        pushes.keep(each)
    assert len(pushes) == len(kept)
    for number in (0, SEGMENT - 1, SEGMENT, 3 * SEGMENT, len(kept) - 6, len(kept) - 1):
        assert pushes.find(None, None, None, slice(number, number + 1)).pushes == [kept[number]]
        assert pushes.find(None, None, f"device {number}", slice(0, 9)).pushes == [kept[number]]


def test_counts_are_those_of_a_plain_list():
    pushes, kept, choose = Pushes(), [], random.Random(1)
    for _ in range(5000):
        alert, provider = choose.choice("123"), choose.choice(["apns", "fcm"])
        kept.append(push(choose.randrange(900), alert, provider))
        pushes.keep(kept[-1])
    for alert in (None, "1", "2", "9"):
        for provider in (None, "apns", "fcm", "hms"):
            wanted = [
                each
                for each in kept
                if alert in (None, each.alert_id) and provider in (None, each.provider)
            ]
            found = pushes.find(alert, provider, None, slice(10, 60))
            assert found.count == len(wanted)
            assert found.devices == len({(each.provider, each.address) for each in wanted})
            assert found.pushes == wanted[10:60]
    distinct = {(each.provider, each.alert_id, each.address) for each in kept}
    assert pushes.repeats()[0] == len(kept) - len(distinct)


def test_a_repeat_is_a_device_that_had_the_same_alert_from_the_same_provider():
    pushes = Pushes()
    for each in (push(1), push(1, "2"), push(1, "1", "fcm"), push(1), push(2), push(1)):
        pushes.keep(each)
    assert pushes.repeats() == (2, [push(1), push(1)])
    assert pushes.repeats("2") == (0, [])
