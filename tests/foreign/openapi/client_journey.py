"""A reader and a newsroom by the client that openapi-python-client generated, as it came.

`python client_journey.py URL KEY TOPIC ADDRESS` prints what the calls returned, as JSON. It runs in
the generator's own environment, with the generated package on the path.
"""

import json
import sys

from newszop_push_client import AuthenticatedClient, Client
from newszop_push_client.api.alerts import send_alert, show_report
from newszop_push_client.api.readers import (
    change_reader,
    follow_topic,
    list_devices,
    register_device,
    register_reader,
)
from newszop_push_client.api.stories import take_in_story
from newszop_push_client.models import (
    AlertBody,
    DeviceBody,
    NewReader,
    QuietHoursBody,
    ReaderChange,
    StoryIn,
    Terms,
    Urgency,
)


def main(url: str, key: str, topic: str, address: str) -> dict[str, object]:
    """Register a reader with a device, follow, take in a story and send its alert."""
    anybody = Client(url, raise_on_unexpected_status=True)
    newsroom = AuthenticatedClient(url, key, raise_on_unexpected_status=True)
    token = register_reader.sync(client=anybody, body=NewReader(language="hi")).token
    reader = AuthenticatedClient(url, token, raise_on_unexpected_status=True)
    device = register_device.sync(client=reader, body=DeviceBody("apns", address, locale="hi"))
    again = register_device.sync(client=reader, body=DeviceBody("apns", address))
    follow = follow_topic.sync(topic, client=reader, body=Terms(least_urgency=Urgency.NORMAL))
    zone = change_reader.sync(client=reader, body=ReaderChange(timezone="Asia/Kolkata"))
    quiet_hours = QuietHoursBody(from_="22:00", to="22:00")
    quiet = change_reader.sync(client=reader, body=ReaderChange(quiet_hours=quiet_hours))
    loud = change_reader.sync(client=reader, body=ReaderChange(quiet_hours=None))
    story = take_in_story.sync(
        client=newsroom, body=StoryIn("Rain at last", "<p>It rains.</p>", topics=[topic])
    )
    alert = send_alert.sync(
        story.id, client=newsroom, body=AlertBody(title="Rain"), idempotency_key=f"one-{story.id}"
    )
    repeated = send_alert.sync(
        story.id, client=newsroom, body=AlertBody(title="Rain"), idempotency_key=f"one-{story.id}"
    )
    refusal = send_alert.sync("1", client=newsroom, body=AlertBody(title="Rain"))
    return {
        "device": device.id,
        "device_again": again.id,
        "devices": [each.id for each in list_devices.sync(client=reader).items],
        "follow": follow.topic,
        "zone": zone.timezone,
        "quiet_from": quiet.quiet_hours.from_,
        "no_quiet_hours": loud.quiet_hours,
        "language": loud.language,
        "outcome": story.outcome.value,
        "alert": alert.id,
        "alert_repeated": repeated.id,
        "report_title": show_report.sync(alert.id, client=newsroom).title,
        "refusal_status": refusal.status,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
