"""Settings as JSON gives them: key → value → checked for their types; and which of them a running engine takes over."""

from typing import Any, Final

import msgspec

from protocol.errors import SettingsError
from scheduler.settings import Settings

# Read when a process starts; all others are taken over at once, or by what begins from now on
AT_START: Final = frozenset({"daemons", "listen_host", "listen_port", "piece_buffer_bytes", "read_cache_bytes", "upload_slots",
                             "max_pipeline_depth", "handshake_timeout", "idle_seconds", "lease_seconds", "offline"})


def converted_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with each of its setting's type (1 → 1.0 where that is a float). Unknown keys stay as they are. Raises SettingsError."""
    converted = {}
    for key, value in values.items():
        field = Settings.__dataclass_fields__.get(key)
        try:
            converted[key] = value if field is None else msgspec.convert(value, field.type, strict=True)
        except msgspec.ValidationError:
            raise SettingsError(f"setting {key} is {value!r:.60}, must be of type {field.type.__name__}") from None
    return converted


def needs_restart(keys: dict[str, Any]) -> list[str]:
    """Which of these a running engine does not take over."""
    return sorted(AT_START & keys.keys())
