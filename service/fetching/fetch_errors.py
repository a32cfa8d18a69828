"""Why an address could not be fetched, in words for the person who named it."""

import pycurl

_SENTENCES = {
    pycurl.E_COULDNT_RESOLVE_HOST: "There is no server called {host}.",
    pycurl.E_COULDNT_CONNECT: "{host} takes no connection.",
    pycurl.E_OPERATION_TIMEDOUT: "{host} takes too long to answer.",
    pycurl.E_PEER_FAILED_VERIFICATION: "The certificate of {host} cannot be trusted.",
    pycurl.E_SSL_CONNECT_ERROR: "{host} speaks no TLS that we understand.",
    pycurl.E_GOT_NOTHING: "{host} ended the connection without an answer.",
    pycurl.E_RECV_ERROR: "{host} broke the connection off.",
    pycurl.E_SEND_ERROR: "{host} broke the connection off.",
    pycurl.E_PARTIAL_FILE: "{host} broke the connection off.",
    pycurl.E_BAD_CONTENT_ENCODING: "The answer of {host} is compressed in a broken way.",
    pycurl.E_URL_MALFORMAT: "This is no address of a page.",
    pycurl.E_UNSUPPORTED_PROTOCOL: "This is no address of a page.",
    pycurl.E_ABORTED_BY_CALLBACK: "We are stopping just now.",
}


class FetchFailed(Exception):
    """Nothing came; the sentence says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def describe_failure(code: int, host: str, refused_ip: str) -> FetchFailed:
    """Return the failure that libcurl's code means."""
    if refused_ip:
        return FetchFailed(
            f"{host} is at {refused_ip}, which is no public address. An operator may allow the "
            "host by NEWSZOP_FETCH_ALLOWED_HOSTS."
        )
    sentence = _SENTENCES.get(code, "{host} cannot be read (libcurl's error {code}).")
    return FetchFailed(sentence.format(host=host, code=code))


def too_large(most_bytes: int) -> FetchFailed:
    """Return the failure of an answer with more bytes than are taken."""
    return FetchFailed(f"It is larger than {most_bytes // (1024 * 1024)} MiB.")
