"""What tests of the announce schedule share: one that has started, and announces that succeed or fail."""

from protocol.tracker_messages import AnnounceResponse
from scheduler.announce_schedule import AnnounceSchedule


class Unmoved:
    """A random source that shuffles nothing and always says `value`."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def randrange(self, stop: int, /) -> int:
        return 0

    def shuffle(self, items, /) -> None:
        pass


OK = AnnounceResponse(interval=1800, min_interval=300)


def started(*tiers: tuple[str, ...], is_complete: bool = False, jitter: float = 0.0) -> AnnounceSchedule:
    schedule = AnnounceSchedule(tiers, Unmoved(jitter))
    schedule.start(0.0, is_complete=is_complete)
    return schedule


def asked(schedule: AnnounceSchedule, now: float) -> tuple[str, str] | None:
    """Take what is due at `now`; return (tracker, event)."""
    announce = schedule.take(now)
    return announce and (announce.tracker.url, announce.event)


def answered(schedule: AnnounceSchedule, now: float, response: AnnounceResponse = OK) -> tuple[str, str]:
    """Take what is due at `now`, let it succeed; return (tracker, event)."""
    announce = asked(schedule, now)
    schedule.answered(response, now)
    return announce


def failed(schedule: AnnounceSchedule, now: float, retry_in: float | None = None) -> tuple[str, str]:
    """Take what is due at `now`, let it fail; return (tracker, event)."""
    announce = asked(schedule, now)
    schedule.failed(now, retry_in)
    return announce
