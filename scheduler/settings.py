"""What users tune: one frozen `Settings`, checked and replaced as a whole, and the tuning profiles (spec §1).

Names are the keys of the settings file and of `--set KEY=VALUE`. Units are in the names or in the comments.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from protocol.errors import SettingsError


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """How many new flows of one kind, which are no dials, may begin and be under way at once."""

    rate_per_second: float
    burst: int
    under_way: int


# Kinds of flows
ANNOUNCE: Final = "announce"
GOODBYE: Final = "goodbye"                              # `stopped` to a tracker: two seconds for all torrents, and nothing follows


@dataclass(frozen=True, slots=True)
class Profile:
    """How hard to dial: a row of the table of profiles. Of `auto` the most that it rises to; see scheduler/dial_rate_control.py."""

    rate_per_second: float
    burst: int
    drain_interval: float                               # seconds
    half_open_limit: int
    unanswered_limit: int                               # dials without an answer in any 120 s: what a router remembers
    announces: FlowLimits                               # a dead tracker holds a place for its whole timeout


AUTO: Final = "auto"
PROFILES: Final = {
    "conservative": Profile(10.0, 20, 0.1, 30, 300, FlowLimits(20.0, 50, 30)),  # home routers, phones
    "moderate": Profile(15.0, 30, 0.1, 60, 400, FlowLimits(30.0, 75, 45)),  # desktops
    "aggressive": Profile(25.0, 50, 0.05, 100, 1_000, FlowLimits(50.0, 125, 100)),  # servers; may overwhelm weak routers
    "weak-router": Profile(5.0, 10, 0.1, 15, 150, FlowLimits(10.0, 20, 15)),  # routers that die under load
    AUTO: Profile(50.0, 100, 0.1, 200, 300, FlowLimits(20.0, 50, 30)),  # begins as conservative, finds out what the way out can take
}
DEFAULT_PROFILE: Final = "conservative"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one engine. Build it with `settings_from`, which checks the values."""

    profile: str = DEFAULT_PROFILE
    connection_rate: float = 10.0                       # dials per second, all torrents together; 0 = unlimited
    connection_burst: int = 20
    drain_interval: float = 0.1                         # seconds
    half_open_limit: int = 30                           # dials + handshakes under way, all torrents together
    unanswered_limit: int = 300                         # see Profile
    announce_rate: float = 20.0                         # announces per second, all torrents together: 1,000 have announced in 50 s
    announce_burst: int = 50
    announces_under_way: int = 30
    router_entries: int = 256                           # what `auto` takes a router's table of connections to hold; it uses 70 % of it
    global_connection_limit: int = 200                  # connected + handshaking + half-open + granted
    torrent_connection_limit: int = 50
    incoming_reserve: float = 0.1                       # of the global limit, kept for incoming connections
    lease_seconds: float = 2.0                          # a grant that nobody used comes back after this; it holds a slot and a token till then
    connect_timeout: float = 10.0                       # seconds, until five samples are there
    handshake_timeout: float = 10.0                     # seconds, both directions
    idle_seconds: float = 300.0                         # a connection in which neither side was interested for so long may make room
    daemons: int = 1
    listen_host: str = "0.0.0.0"
    listen_port: int = 0                                # 0 = any free one
    offline: bool = False                               # only the given trackers and peers
    num_want: int = 50                                  # peers asked of a tracker
    seeds_dial: bool = True                             # torrents that are complete dial too, in one turn of ten: nobody can dial us where nothing maps our port
    piece_buffer_bytes: int = 32 << 20                  # of one daemon: pieces being received
    read_cache_bytes: int = 4 << 20                     # of one daemon: pieces being served; more does not fit into a processor's cache
    upload_slots: int = 8                               # unchoked peers a torrent, the optimistic one included
    max_pipeline_depth: int = 500                       # requests outstanding to one peer


_BOUNDS: Final = {                                      # key: (lowest, highest) that can be meant
    "connection_rate": (0, 10_000), "connection_burst": (1, 10_000), "drain_interval": (0.01, 10),
    "half_open_limit": (1, 10_000), "unanswered_limit": (1, 1_000_000), "announce_rate": (0.1, 10_000),
    "announce_burst": (1, 10_000), "announces_under_way": (1, 10_000), "router_entries": (64, 10_000_000), "global_connection_limit": (1, 100_000),
    "torrent_connection_limit": (1, 10_000), "incoming_reserve": (0, 0.9), "lease_seconds": (0.1, 600),
    "connect_timeout": (0.1, 120), "handshake_timeout": (0.1, 120), "idle_seconds": (0.1, 86_400), "daemons": (1, 64), "listen_port": (0, 65_535),
    "num_want": (0, 1_000), "piece_buffer_bytes": (1 << 20, 16 << 30), "read_cache_bytes": (1 << 20, 16 << 30),
    "upload_slots": (1, 1_000), "max_pipeline_depth": (1, 5_000),
}


def settings_from(values: dict[str, Any], base: Settings | None = None) -> Settings:
    """Return `base` with `values` (key → value of the right type) laid over it, checked as a whole.

    `profile` sets the numbers of that profile first; single keys given beside it win. Raises SettingsError naming the key.
    """
    settings = base or Settings()
    for key in values:
        if key not in Settings.__dataclass_fields__:
            known = ", ".join(sorted(Settings.__dataclass_fields__))
            raise SettingsError(f"setting {key!r} is not known; there are: {known}")
    if "profile" in values:
        settings = with_profile(settings, values["profile"])
    settings = replace(settings, **values)
    for key, (lowest, highest) in _BOUNDS.items():
        value = getattr(settings, key)
        if not lowest <= value <= highest:
            raise SettingsError(f"setting {key} is {value}, must be between {lowest} and {highest}")
    return settings


def with_profile(settings: Settings, name: str) -> Settings:
    """Return `settings` with the numbers of the profile `name`. Raises SettingsError for an unknown name."""
    profile = PROFILES.get(name)
    if profile is None:
        raise SettingsError(f"setting profile is {name!r}, must be one of {', '.join(PROFILES)}")
    return replace(
        settings, profile=name, connection_rate=profile.rate_per_second, connection_burst=profile.burst,
        drain_interval=profile.drain_interval, half_open_limit=profile.half_open_limit,
        unanswered_limit=profile.unanswered_limit, announce_rate=profile.announces.rate_per_second, announce_burst=profile.announces.burst,
        announces_under_way=profile.announces.under_way,
    )


def flow_limits(settings: Settings) -> dict[str, FlowLimits]:
    """Return the limits of each kind of flow. `stopped` may be said faster than the rest, still not by all at once."""
    announces = FlowLimits(settings.announce_rate, settings.announce_burst, settings.announces_under_way)
    goodbyes = FlowLimits(3 * announces.rate_per_second, 2 * announces.burst, 2 * announces.under_way)
    return {ANNOUNCE: announces, GOODBYE: goodbyes}
