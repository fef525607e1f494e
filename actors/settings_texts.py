"""Settings as people type them: KEY=VALUE → Settings. Every error names the key."""

import msgspec

from protocol.errors import SettingsError
from scheduler.settings import Settings, settings_from


def settings_from_texts(texts: list[str], profile: str | None = None, base: Settings | None = None) -> Settings:
    """Return `base` with the profile and the KEY=VALUE texts laid over it. Raises SettingsError."""
    values = {} if profile is None else {"profile": profile}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text!r}: must be KEY=VALUE, for example half_open_limit=15")
        field = Settings.__dataclass_fields__.get(key)
        values[key] = value if field is None else value_of(key, value, field.type)
    return settings_from(values, base)


def value_of(key: str, text: str, wanted: type) -> object:
    """'15' → 15 for an int, 'true' or '1' → True for a bool. Raises SettingsError."""
    try:
        return msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(f"setting {key} is {text!r}, must be {'true or false' if wanted is bool else 'of type ' + wanted.__name__}") from None
