import random

from workers.standins.received_pushes import BLOCK_PUSHES, PLAIN_BLOCKS, Push, ReceivedPushes


def push(number: int, alert_id: str = "1", provider: str = "apns") -> Push:
    return Push(provider, f"device {number}", alert_id, "key", f"payload {number}".encode(), number)


def test_pushes_are_the_same_in_open_plain_and_compressed_blocks():
    pushes = ReceivedPushes()
    expected = [push(number) for number in range((PLAIN_BLOCKS + 3) * BLOCK_PUSHES + 5)]
    for each in expected:
        pushes.add(each)
    assert len(pushes) == len(expected)
    for number in (
        0,
        BLOCK_PUSHES - 1,
        BLOCK_PUSHES,
        3 * BLOCK_PUSHES,
        len(expected) - 6,
        len(expected) - 1,
    ):
        assert pushes.search(None, None, None, slice(number, number + 1)).pushes == [
            expected[number]
        ]
        assert pushes.search(None, None, f"device {number}", slice(0, 9)).pushes == [
            expected[number]
        ]


def test_counts_are_those_of_a_plain_list():
    pushes, expected, choose = ReceivedPushes(), [], random.Random(1)
    for _ in range(5000):
        alert, provider = choose.choice("123"), choose.choice(["apns", "fcm"])
        expected.append(push(choose.randrange(900), alert, provider))
        pushes.add(expected[-1])
    for alert in (None, "1", "2", "9"):
        for provider in (None, "apns", "fcm", "hms"):
            matches = [
                each
                for each in expected
                if alert in (None, each.alert_id) and provider in (None, each.provider)
            ]
            result = pushes.search(alert, provider, None, slice(10, 60))
            assert result.count == len(matches)
            assert result.devices == len({(each.provider, each.address) for each in matches})
            assert result.pushes == matches[10:60]
    distinct = {(each.provider, each.alert_id, each.address) for each in expected}
    assert pushes.find_repeats()[0] == len(expected) - len(distinct)


def test_a_repeat_is_a_device_that_had_the_same_alert_from_the_same_provider():
    pushes = ReceivedPushes()
    for each in (push(1), push(1, "2"), push(1, "1", "fcm"), push(1), push(2), push(1)):
        pushes.add(each)
    assert pushes.find_repeats() == (2, [push(1), push(1)])
    assert pushes.find_repeats("2") == (0, [])
