"""Files of pictures in a folder: of one host, or one that all hosts share."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from service.media.outage import storage_outage


class FolderStorage:
    """Each file stands below the first two digits of its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, files: Mapping[str, bytes]) -> None:
        """Write the files; each is there as a whole or not at all."""
        with self._named_faults():
            for name, content in files.items():
                self._write(self._path(name), content)

    def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        with self._named_faults():
            try:
                return self._path(name).read_bytes()
            except FileNotFoundError:
                return None

    def holds(self, name: str) -> bool:
        """Whether a file of this name is there."""
        return self._path(name).is_file()

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        with self._named_faults():
            for name in names:
                self._path(name).unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                part.chmod(0o644)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_outage(str(self._folder), error.strerror or str(error)) from None

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
