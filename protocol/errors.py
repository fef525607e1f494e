"""Errors, by who is at fault. Each message names what is wrong, where, and what to do about it."""


class EvenswarmError(Exception):
    """Base of all errors that are told to a user in one line, without a traceback."""


class LocalProtocolError(EvenswarmError):
    """We broke a protocol: a bug of ours."""


class RemoteProtocolError(EvenswarmError):
    """The other side broke a protocol: the connection ends, nobody else is touched."""


class BencodeError(EvenswarmError):
    """Bytes that are not bencoded as BEP 3 says, or that exceed a bound."""


class MetainfoError(EvenswarmError):
    """A .torrent or an info dictionary that cannot be used."""


class MagnetError(EvenswarmError):
    """A text that is not a magnet link that can be used."""


class TrackerError(EvenswarmError):
    """A tracker that did not answer, answered nonsense, or refused."""


class StorageError(EvenswarmError):
    """This machine's files: no room, no permission, a path that cannot be made."""


class SettingsError(EvenswarmError):
    """A setting with a wrong name, type or value; the message names the key."""
