"""Files of pictures in a folder: of one host, or one that all hosts share."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile


class FolderStorage:
    """Each file stands below the first two digits of its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, files: Mapping[str, bytes]) -> None:
        """Write the files; each is there as a whole or not at all."""
        for name, content in files.items():
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)

    def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
