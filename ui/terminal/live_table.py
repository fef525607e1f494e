"""The live table of `download` and `demo`: torrents with progress, rates and peers by state, and the queue (rich)."""

from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors import snapshots
from ui.terminal.summary import peers_by_state, peers_text, tracker_trouble
from ui.terminal.text import human_bytes, human_rate, percent, printable

INTERVAL_SECONDS = 0.5
RESERVED_LINES = 12                                     # the panel, the headings and the lines said above
GLYPHS = {                                              # shape before colour: each state has a glyph of its own
    snapshots.CONNECTED: ("●", "green"), snapshots.HANDSHAKING: ("◑", "blue"), snapshots.CONNECTING: ("◔", "yellow"),
    snapshots.QUEUED: ("○", "bright_black"), snapshots.FAILED: ("✕", "red"),
}
TORRENT_ORDER = {state: place for place, state in enumerate(
    (snapshots.ERROR, snapshots.DOWNLOADING, snapshots.METADATA, snapshots.CHECKING, snapshots.SEEDING, snapshots.STOPPED))}


class LiveTable:
    """A context manager; `update` draws anew."""

    interval = INTERVAL_SECONDS

    def __init__(self, get_view: Callable[[], snapshots.FeedView], num_torrents: int) -> None:
        self._get_view = get_view
        self._num_torrents = num_torrents
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A change, above the table, if there are few enough torrents to say each."""
        if self._num_torrents <= 1:
            self._console.print(Text(line))

    def complain(self, line: str) -> None:
        """A failure, above the table."""
        self._console.print(Text(f"evenswarm: {line}", style="red"))

    def update(self) -> None:
        """Draw what the feed says now."""
        view = self._get_view()
        rows = max(3, self._console.size.height - RESERVED_LINES)
        self._live.update(Group(torrents_table(view.torrents, rows), queue_panel(view)), refresh=True)


def torrents_table(torrents: tuple[snapshots.TorrentSnapshot, ...], rows: int) -> Table:
    """A row a torrent; those that do not fit are counted in the last line."""
    table = Table(box=None, padding=(0, 1), expand=True, caption_justify="left")
    table.add_column("Name", ratio=1, no_wrap=True, overflow="ellipsis")
    for heading in ("Size", "%", "Down", "Up"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(" ".join(glyph for glyph, _ in GLYPHS.values()), no_wrap=True)
    table.add_column("State", no_wrap=True, overflow="ellipsis", ratio=1)
    shown = sorted(torrents, key=lambda torrent: TORRENT_ORDER[torrent.state])[:rows]
    for torrent in shown:
        table.add_row(
            Text(printable(torrent.name)), human_bytes(torrent.wanted_bytes), percent(torrent.wanted_verified_bytes, torrent.wanted_bytes),
            human_rate(torrent.download_rate), human_rate(torrent.upload_rate), peers_cell(torrent), Text(state_text(torrent)),
        )
    if len(torrents) > len(shown):
        table.caption = f"and {len(torrents) - len(shown)} more"
    return table


def peers_cell(torrent: snapshots.TorrentSnapshot) -> Text:
    """'●2 ◔1 ✕4': only states that have peers."""
    cell = Text()
    for state, (glyph, colour) in GLYPHS.items():
        if torrent.peers_by_state[state]:
            cell.append(f"{glyph}{torrent.peers_by_state[state]} ", style=colour)
    return cell


def state_text(torrent: snapshots.TorrentSnapshot) -> str:
    """The state, and why it does not connect when it does not."""
    if torrent.state == snapshots.ERROR:
        return f"error: {printable(torrent.error)}"
    if torrent.state == snapshots.CHECKING:
        return f"checking {percent(torrent.pieces_checked, torrent.num_pieces)} %"
    if torrent.state == snapshots.SEEDING:
        return "complete"
    why = "; ".join(filter(None, (torrent.why, tracker_trouble((torrent,)))))
    return f"{torrent.state}: {why}" if why else torrent.state


def queue_panel(view: snapshots.FeedView) -> Panel:
    """Tokens, half-open, who is next: the engine's idea at a glance."""
    if view.queue is None:
        return Panel("the queue has not answered yet", title="Turns")
    queue = view.queue
    names = {torrent.info_hash: torrent.name for torrent in view.torrents}
    down = sum(torrent.download_rate for torrent in view.torrents)
    up = sum(torrent.upload_rate for torrent in view.torrents)
    lines = [
        Text(f"all        down {human_rate(down)}   up {human_rate(up)}   {peers_text(peers_by_state(view.torrents))}"),
        Text(f"tokens     {cells(int(queue.tokens), queue.burst, '●', '○')}  {rate_text(queue)}"),
        Text(f"half-open  {cells(queue.half_open + queue.leases, queue.half_open_limit, '▣', '▢')}  {queue.half_open + queue.leases}/{queue.half_open_limit}"
             f"   connected {queue.connected} of {queue.global_limit}   waiting {queue.pending}"),
        Text("next       " + "  ".join(printable(names.get(info_hash, info_hash.hex()[:8])) for info_hash in queue.next_up[:8]), overflow="ellipsis", no_wrap=True),
    ]
    if queue.slowed_before is not None and queue.half_open_limit < queue.highest_half_open:
        lines.append(Text(f"slowed     {queue.slowed_before:.0f} s ago: {printable(queue.slowed_by)}", style="yellow"))
    if queue.paused:
        lines.append(Text(f"paused     {printable(queue.paused)}", style="yellow"))
    return Panel(Group(*lines), title="Turns", title_align="left")


def rate_text(queue: snapshots.ConnectionQueueStats) -> str:
    """'10/s, burst 20'."""
    return f"{queue.rate_per_second:g}/s, burst {queue.burst}" if queue.rate_per_second else "no rate limit"


def cells(filled: int, of: int, full: str, empty: str, most: int = 40) -> str:
    """A cell for each, or for each share when there are more than `most`."""
    if of > most:
        filled, of = round(filled * most / of), most
    filled = max(0, min(filled, of))
    return full * filled + empty * (of - filled)
