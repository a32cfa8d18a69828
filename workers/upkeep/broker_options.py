"""What every Celery application of the workers is told about the broker."""

from typing import Any

from service.broker.celery_options import celery_options
from service.server_addresses import is_rabbitmq
from service.settings import SettingsError, load

CONNECT_S = 2
ANSWER_S = 5


def broker_options() -> dict[str, Any]:
    """Return Celery's options; with settings that are wrong only those that need none."""
    always: dict[str, Any] = {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "timezone": "UTC",
    }
    try:
        url = load().broker
    except SettingsError:
        return always
    options = always | celery_options(url, connect_s=CONNECT_S, answer_s=ANSWER_S)
    if not is_rabbitmq(url):
        options["worker_disable_prefetch"] = True
        options["broker_transport_options"] |= {
            "queue_order_strategy": "priority",
            "retry_on_timeout": True,
            "health_check_interval": 10,
        }
    return options
