"""DownloadRoots: the folders that downloads may go to. What comes by the API lies below one of them, whatever dots and links say."""

import os
from collections.abc import Sequence
from pathlib import Path

from protocol.errors import StorageError
from protocol.limits import MAX_PATH_BYTES


class DownloadRoots:
    """`roots`: absolute folders that exist; the first is where downloads go when nobody says otherwise."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = tuple(os.path.realpath(root) for root in roots)

    def folder(self, text: str | None) -> str:
        """Return the absolute folder that `text` names, below a root; a relative one is below the first. Raises StorageError."""
        if text is None:
            return self.roots[0]
        if not text or not text.isprintable() or len(text.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
            raise StorageError(f"folder {text[:60]!r} is no name of a folder")
        if ".." in Path(text).parts:
            raise StorageError(f"folder {text!r} has '..' in it; write where it leads")
        try:
            real = os.path.realpath(os.path.join(self.roots[0], text))
        except (OSError, ValueError) as error:
            raise StorageError(f"folder {text!r}: {error}") from None
        if not any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots):
            raise StorageError(f"folder {text!r} leads to {real}, which is not below {' or '.join(self.roots)}")
        return real
