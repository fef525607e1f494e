"""libtorrent as a command: download or seed torrents, and say on stdout what happens, one line each.

    listening HOST:PORT     ready for peers
    started NAME            a torrent is checked and not complete: it downloads
    connected               a peer more, whoever dialled
    verified NAME           a torrent has all its pieces (after the check, or after the last piece)
    complete NAME           and they are in its files: libtorrent says `finished` while up to 100 MB wait to be written
    all complete            all torrents are
    peer JSON               answer to the line `peers` on stdin, one for each peer
    that is all             the end of that answer
    wire TEXT               each message to a peer (==>) or from one (<==), with --show-wire
    error TEXT              a torrent cannot go on

It is libtorrent as it comes, but: no DHT, LSD or port mapping (nothing here leaves the machine), and no µTP, because the
others it is compared with have none. It ends when its stdin does.
"""

import argparse
import json
import os
import sys
import threading

import libtorrent

ALERT_WAIT_MILLISECONDS = 500
OFFLINE = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False}
ONLY_TCP = {"enable_outgoing_utp": False, "enable_incoming_utp": False}


def main() -> None:
    """Run until stdin ends."""
    arguments = parse_arguments()
    categories = libtorrent.alert.category_t
    mask = categories.error_notification | categories.status_notification | categories.storage_notification
    mask |= categories.connect_notification
    if arguments.show_wire:
        mask |= categories.peer_log_notification
    session = libtorrent.session({
        "listen_interfaces": arguments.listen, "outgoing_interfaces": arguments.listen.rpartition(":")[0] if arguments.bind else "",
        "alert_mask": mask, **OFFLINE, **ONLY_TCP, **dict(number_setting(text) for text in arguments.set),
    })
    say(f"listening {arguments.listen.rpartition(':')[0]}:{session.listen_port()}")
    handles = [session.add_torrent(torrent_parameters(path, arguments)) for path in arguments.torrents]
    for handle in handles:
        for peer in arguments.peer:
            host, _, port = peer.rpartition(":")
            handle.connect_peer((host, int(port)))
    threading.Thread(target=obey, args=(handles,), daemon=True).start()
    report(session, len(handles))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("torrents", nargs="+", metavar="FILE.torrent|MAGNET")
    parser.add_argument("--dir", required=True, metavar="DIR", help="what is there already is checked first")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--peer", action="append", default=[], metavar="HOST:PORT")
    parser.add_argument("--bind", action="store_true", help="dial from the address of --listen")
    parser.add_argument("--trust-files", action="store_true", help="all pieces are there, do not check them")
    parser.add_argument("--only-look", action="store_true", help="connect, but request nothing")
    parser.add_argument("--show-wire", action="store_true", help="print the messages of peers")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a setting of libtorrent's")
    return parser.parse_args()


def number_setting(text: str) -> tuple[str, int]:
    """'connection_speed=50' → its parts."""
    name, _, value = text.partition("=")
    return name, int(value)


def torrent_parameters(path: str, arguments: argparse.Namespace) -> libtorrent.add_torrent_params:
    """What libtorrent needs to start the torrent at `path`, or of that link, at once, without a turn of its queue."""
    parameters = libtorrent.parse_magnet_uri(path) if path.startswith("magnet:") else libtorrent.load_torrent_file(path)
    parameters.save_path = arguments.dir
    parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    if arguments.trust_files:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    if arguments.only_look:
        parameters.flags |= libtorrent.torrent_flags.upload_mode
    return parameters


def report(session: libtorrent.session, num_torrents: int) -> None:
    """Print what happens, for ever."""
    complete: set[str] = set()
    while True:
        session.wait_for_alert(ALERT_WAIT_MILLISECONDS)
        for alert in session.pop_alerts():
            match alert:
                case libtorrent.incoming_connection_alert() | libtorrent.peer_connect_alert():
                    say("connected")
                case libtorrent.torrent_checked_alert() if not alert.handle.status().is_finished:
                    say(f"started {alert.handle.status().name}")
                case libtorrent.torrent_finished_alert():
                    say(f"verified {alert.handle.status().name}")
                    alert.handle.flush_cache()
                case libtorrent.cache_flushed_alert():
                    name = alert.handle.status().name
                    if name in complete or not alert.handle.status().is_finished:
                        continue                        # it also flushes when it likes to
                    complete.add(name)
                    say(f"complete {name}")
                    if len(complete) == num_torrents:
                        say("all complete")
                case libtorrent.torrent_error_alert() | libtorrent.file_error_alert() | libtorrent.listen_failed_alert():
                    say(f"error {alert.message()}")
                case libtorrent.peer_log_alert() if "<==" in alert.message() or "==>" in alert.message():
                    say(f"wire {alert.message()}")


def obey(handles: list[libtorrent.torrent_handle]) -> None:
    """Answer the lines on stdin; end the process, without an announce to anybody, when it ends."""
    for line in sys.stdin:
        if line == "peers\n":
            for handle in handles:
                for peer in handle.get_peer_info():
                    say("peer " + json.dumps({
                        "address": f"{peer.ip[0]}:{peer.ip[1]}", "client": peer.client.decode("utf-8", "replace"),
                        "speaks_extensions": bool(peer.flags & libtorrent.peer_info.supports_extensions),
                        "is_seed": bool(peer.flags & libtorrent.peer_info.seed),
                    }))
            say("that is all")
    os._exit(0)


def say(line: str) -> None:
    """One write a line: two threads print."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
