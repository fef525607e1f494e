"""The data folder of a client: one client at a time (flock), the token of scripts, where the running client is.

    lock          held while a client runs
    api-token     the bearer token, 0600, made once
    running.json  {"url": …, "certificate": …}, 0600, while a client runs
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.errors import StorageError

TOKEN_BYTES: Final = 32
MOST_BYTES: Final = 10_000                              # of a file here: what is larger is not ours


@dataclass(frozen=True, slots=True)
class RunningClient:
    """Where a client answers, and the token that it takes."""

    url: str
    token: str
    certificate: str                                    # file that vouches for it; '' = no TLS


def data_path(text: str | None) -> Path:
    """--data, or the platform's folder for an application's data."""
    if text is not None:
        if not text:
            raise StorageError("--data '': must name a folder")
        return Path(text).absolute()
    from platformdirs import user_data_path

    return user_data_path("evenswarm")


@contextmanager
def owned_data_folder(text: str | None) -> Iterator["DataFolder"]:
    """Hold the folder for one client. Raises StorageError when another one has it, or it cannot be used."""
    path = data_path(text)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"the data folder {path} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StorageError(f"a client runs already on the data folder {path}; use it ('evenswarm list'), end it, or give this one its own with --data DIR") from None
    folder = DataFolder(path)
    try:
        yield folder
    finally:
        folder.forget_address()
        os.close(lock)


class DataFolder:
    """A folder that this process owns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def api_token(self) -> str:
        """The token of scripts; made the first time, in a file that nobody else may read. Raises StorageError."""
        file = self.path / "api-token"
        with contextlib.suppress(FileNotFoundError):
            file.chmod(0o600)
            if token := _read(file).strip():
                return token
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._write(file, token + "\n")
        return token

    def tell_address(self, url: str, certificate: str) -> None:
        """For the commands that speak to this client. Raises StorageError."""
        self._write(self.path / "running.json", json.dumps({"url": url, "certificate": certificate}) + "\n")

    def forget_address(self) -> None:
        """It ends."""
        with contextlib.suppress(OSError):
            (self.path / "running.json").unlink()

    @staticmethod
    def _write(file: Path, text: str) -> None:
        """Whole or not at all, readable for the owner alone from its first moment."""
        new = file.with_name(file.name + ".new")
        try:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
        except OSError as error:
            raise StorageError(f"cannot write {file}: {error.strerror}") from None


def running_client(text: str | None) -> RunningClient:
    """Find the client that runs on this data folder. Raises StorageError when none does."""
    path = data_path(text)
    try:
        said = json.loads(_read(path / "running.json"))
        return RunningClient(str(said["url"]), _read(path / "api-token").strip(), str(said["certificate"]))
    except FileNotFoundError:
        raise StorageError(f"no client runs on the data folder {path}; start one with 'python3 run.py', or name its folder with --data DIR") from None
    except OSError as error:
        raise StorageError(f"cannot read the data folder {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StorageError(f"{path / 'running.json'} is damaged; start the client anew") from None


def _read(file: Path) -> str:
    with open(file, encoding="utf-8") as stream:
        return stream.read(MOST_BYTES)
