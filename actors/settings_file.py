"""SettingsFile: the settings that a user keeps, in one flat TOML file: `key = value`, the keys of scheduler/settings.py.

What the user wrote into it stays, comments too: a change replaces the line of its key, or adds one. The file is replaced as a whole.
Every error names the file, the line and the key, and what is allowed.
"""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.settings_values import converted_settings
from actors.torrent_copies import sync_folder, write_whole
from protocol.errors import SettingsError, StorageError
from protocol.limits import MAX_SETTINGS_FILE_BYTES
from scheduler.settings import Settings, settings_from, with_profile

HEAD: Final = "# Settings of Evenswarm. Changes made in the running client are written here; --set on the command line is not.\n"
_LINE: Final = re.compile(r"[ \t]*(?:\"(?P<quoted>\w+)\"|(?P<bare>\w+))[ \t]*=")


class SettingsFile:
    """The file `path`, which need not be there. Everything here blocks."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Settings:
        """What it says, laid over the defaults. Raises SettingsError."""
        text = self._text()
        values = self._values(text)
        try:
            return settings_from(converted_settings(values))
        except SettingsError as error:
            raise SettingsError(f"{self._where(text, values, str(error))}: {error}") from None

    def change(self, changes: dict[str, Any]) -> None:
        """Write these, which are checked, and leave the rest. A profile takes away the keys that it sets. Raises SettingsError, StorageError."""
        text = self._text()
        values = self._values(text)
        if "profile" in changes:
            values = {key: value for key, value in values.items() if key not in profile_keys(changes["profile"])}
        values |= changes
        new = _edited(text, values)
        if not _says(new, values):                      # a value over several lines: then without what is written around them
            new = HEAD + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())
        write_whole(self.path, new.encode())
        sync_folder(self.path.parent)

    def _text(self) -> str:
        try:
            with open(self.path, "rb") as stream:
                data = stream.read(MAX_SETTINGS_FILE_BYTES + 1)
            if len(data) > MAX_SETTINGS_FILE_BYTES:
                raise SettingsError(f"{self.path}: has more than {MAX_SETTINGS_FILE_BYTES} bytes, which no settings need")
            return data.decode()
        except FileNotFoundError:
            return HEAD
        except OSError as error:
            raise StorageError(f"cannot read the settings file {self.path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = data[:error.start].count(b"\n") + 1
            raise SettingsError(f"{self.path}, line {line}: is no UTF-8") from None

    def _values(self, text: str) -> dict[str, Any]:
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:        # it names line and column itself
            raise SettingsError(f"{self.path}: is no TOML: {error}; a line must be KEY = VALUE, for example half_open_limit = 15") from None
        except RecursionError:
            raise SettingsError(f"{self.path}: is nested too deeply; a line must be KEY = VALUE") from None
        for key, value in values.items():
            if isinstance(value, dict | list):
                raise SettingsError(f"{self._where(text, {key: value}, key)}: {key} must be one value; there are no tables and no lists among settings")
        return values

    def _where(self, text: str, values: dict[str, Any], error: str) -> str:
        """'FILE, line N' of the key that the error names."""
        named = [key for key in values if re.search(rf"(?<!\w){re.escape(key)}(?!\w)", error)]
        for number, line in enumerate(text.split("\n"), 1):
            if named and key_of(line) == named[0]:
                return f"{self.path}, line {number}"
        return str(self.path)


def profile_keys(name: str) -> set[str]:
    """The settings that a profile sets, which are also those that it would override."""
    low, high = (with_profile(replace(Settings(), **dict.fromkeys(_NUMBERS, value)), name) for value in (-1, -2))
    return {key for key in _NUMBERS if getattr(low, key) == getattr(high, key)}


_NUMBERS: Final = tuple(key for key, field in Settings.__dataclass_fields__.items() if field.type in (int, float))


def key_of(line: str) -> str:
    """The key of a line of TOML that has one."""
    match = _LINE.match(line)
    return (match["quoted"] or match["bare"]) if match else ""


def toml_value(value: bool | float | str) -> str:
    """As TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    escaped = "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in value)
    return f'"{escaped}"'


def _edited(text: str, values: dict[str, Any]) -> str:
    """The lines of `text` with these values, in their places; keys that are not among them lose their line."""
    left, lines = dict(values), []
    for line in text.splitlines():
        key = key_of(line)
        if not key:
            lines.append(line)
        elif key in left:
            value = left.pop(key)
            is_same = _pair(line) == (key, value)
            lines.append(line if is_same else f"{key} = {toml_value(value)}")
    lines += [f"{key} = {toml_value(value)}" for key, value in left.items()]
    return "\n".join(lines) + "\n"


def _says(text: str, values: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == values
    except tomllib.TOMLDecodeError:
        return False


def _pair(line: str) -> tuple[str, Any] | None:
    """Key and value of one line, None if it is not a whole one."""
    try:
        return next(iter(tomllib.loads(line).items()), None)
    except tomllib.TOMLDecodeError:
        return None
