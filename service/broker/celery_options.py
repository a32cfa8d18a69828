"""What Celery and kombu are told about the broker, by its address."""

import socket
import ssl
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import certifi
from kombu import Exchange, Queue

from service.broker.queue_names import QUEUES, STRANGERS_QUEUE
from service.server_addresses import is_rabbitmq, is_sentinel, parse_sentinel

HEARTBEAT_S = 5
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
"""A Redis that is silent for 5 s is asked every 2 s; after three questions it is gone. A worker
waits for its next message and sends nothing, so without this it never learns that the network was
cut, and hears nothing until the other side tries again: up to a minute after it is whole.
"""
CA_FILE = "ssl_ca_certs"
FIRST_IN_LINE = 10
"""The priority of a consumer that takes one queue only, at RabbitMQ."""


def celery_options(url: str, *, connect_s: float, answer_s: float) -> dict[str, Any]:
    """Return the options of a Celery application that sends to the broker or takes from it.

    `connect_s` and `answer_s` bound a connection and one answer. RabbitMQ's queues are quorum
    queues, and a message counts as sent when RabbitMQ has confirmed it.
    """
    options: dict[str, Any] = {
        "broker_connection_timeout": connect_s,
        "task_ignore_result": True,
        "task_queues": queues(url),
        "task_default_queue": "normal",
        "task_create_missing_queues": False,
    }
    if is_rabbitmq(url):
        return options | _rabbitmq(url, answer_s)
    transport = {
        "socket_timeout": answer_s,
        "socket_connect_timeout": connect_s,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }
    if not is_sentinel(url):
        return options | {"broker_url": url, "broker_transport_options": transport}
    return options | _sentinel(url, transport)


def queues(url: str) -> list[Queue]:
    """Return the queues as both sides declare them: at RabbitMQ the two must agree."""
    arguments = {"x-queue-type": "quorum"} if is_rabbitmq(url) else None
    return [
        Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments)
        for name in (*QUEUES, STRANGERS_QUEUE)
    ]


def put_first(queue: Queue) -> None:
    """Let this consumer have the queue's messages before others, as long as it takes them.

    RabbitMQ hands a message to a process in advance, also to one that is at work for seconds.
    """
    queue.consumer_arguments = {"x-priority": FIRST_IN_LINE}


def _sentinel(url: str, transport: dict[str, Any]) -> dict[str, Any]:
    address = parse_sentinel(url)
    login = f"{quote(address.user or '', safe='')}:{quote(address.password or '', safe='')}@"
    places = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts
    ]
    return {
        "broker_url": ";".join(f"sentinel://{login}{place}/{address.database}" for place in places),
        "broker_transport_options": transport
        | {
            "master_name": address.master,
            "sentinel_kwargs": transport | {"password": address.sentinel_password},
        },
    }


def _rabbitmq(url: str, answer_s: float) -> dict[str, Any]:
    parts = urlsplit(url)
    bare = parts._replace(query="", scheme="amqp").geturl()
    options: dict[str, Any] = {
        "broker_url": bare,
        "broker_heartbeat": HEARTBEAT_S,
        "broker_transport_options": {
            "confirm_publish": True,
            "read_timeout": None,  # a worker waits for the next message as long as it takes
            "write_timeout": answer_s,
        },
    }
    if parts.scheme == "amqps":
        options["broker_use_ssl"] = {
            "cert_reqs": ssl.CERT_REQUIRED,
            "ca_certs": parse_qs(parts.query).get(CA_FILE, [certifi.where()])[0],
            "server_hostname": parts.hostname,
        }
    return options
