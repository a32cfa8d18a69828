"""Whom the senders trust: the usual authorities, and those of `NEWSZOP_CA_FILE` beside them."""

import contextlib
import ssl
import tempfile
import weakref
from pathlib import Path

import certifi


class TrustStore:
    """One PEM file with every certificate that is trusted, for as long as this object lives.

    libcurl replaces the usual authorities by the file it is given, so a setting that adds one
    needs a file that joins both.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._bundle: Path | None = None
        self.path = certifi.where()
        if ca_file is not None:
            self._bundle = _join(Path(self.path), ca_file)
            self.path = str(self._bundle)
            weakref.finalize(self, _remove, self._bundle)

    def context(self) -> ssl.SSLContext:
        """Return the same trust for Python's own TLS."""
        context = ssl.create_default_context(cafile=self.path)
        # A host is named by the certificate's alternative names, never by its subject's common name
        # (RFC 9525, 2; RFC 9110, 4.3.4).
        context.hostname_checks_common_name = False
        return context


def _join(*files: Path) -> Path:
    with tempfile.NamedTemporaryFile(prefix="newszop-ca-", suffix=".pem", delete=False) as out:
        for file in files:
            out.write(file.read_bytes().rstrip() + b"\n")
    return Path(out.name)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
