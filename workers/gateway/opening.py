"""Which gateway: the one that the settings name."""

from collections.abc import Callable

from service.settings import Settings
from workers.gateway.contract import Gateway


def open_gateway(settings: Settings) -> Gateway:
    """Return the gateway that the settings name.

    To be called after a fork, in the process that will use it.
    """
    gateway = _gateway_class(settings.sender)
    return gateway(ca_file=settings.ca_file, timeout_s=settings.request_timeout_s)


def _gateway_class(sender: str) -> Callable[..., Gateway]:
    """Return the class for that sender; only the one that is used is loaded."""
    if sender == "httpx":
        from workers.gateway.httpx.httpx_gateway import HttpxGateway  # noqa: PLC0415 - see above

        return HttpxGateway
    if sender == "curl":
        from workers.gateway.curl.curl_gateway import CurlGateway  # noqa: PLC0415 - see above

        return CurlGateway
    from workers.gateway.http2.http2_gateway import Http2Gateway  # noqa: PLC0415 - see above

    return Http2Gateway
