"""libtorrent with many torrents whose resume data it keeps: libtorrent_scale.py STATE FOLDER COUNT.

The first time it adds FOLDER/*.torrent (COUNT of them, by name); at SIGTERM it saves resume data, one file a torrent, and ends; later it
starts from these. It says `all seed` when all do.
"""

import signal
import sys
from pathlib import Path

import libtorrent

SAVE = libtorrent.save_resume_flags_t.save_info_dict if hasattr(libtorrent, "save_resume_flags_t") else libtorrent.torrent_handle.save_info_dict


def main() -> None:
    """Run until SIGTERM."""
    state, folder, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    categories = libtorrent.alert.category_t
    session = libtorrent.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "alert_mask": categories.error_notification | categories.status_notification | categories.storage_notification,
        "alert_queue_size": 100_000, "active_seeds": -1, "active_limit": -1, "active_checking": 4,
    })
    handles = [session.add_torrent(parameters) for parameters in all_parameters(state, folder, count)]
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    has_said = False
    while not ends:
        session.wait_for_alert(100)
        session.pop_alerts()
        if not has_said and all(handle.status().is_seeding for handle in handles):
            has_said = True
            print("all seed", flush=True)
    save(session, handles, state)


def all_parameters(state: Path, folder: str, count: int) -> list:
    """Of each torrent: its resume data, or its .torrent."""
    found = []
    resumed = sorted(state.glob("*.resume"))
    for path in resumed or sorted(Path(folder).glob("*.torrent"))[:count]:
        if resumed:
            parameters = libtorrent.read_resume_data(path.read_bytes())
        else:
            parameters = libtorrent.add_torrent_params()
            parameters.ti = libtorrent.torrent_info(str(path))
        parameters.save_path = folder
        parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
        found.append(parameters)
    return found


def save(session: libtorrent.session, handles: list, state: Path) -> None:
    """Write the resume data of all."""
    for handle in handles:
        handle.save_resume_data(SAVE)
    left = len(handles)
    while left:
        session.wait_for_alert(1_000)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.save_resume_data_alert):
                data = libtorrent.write_resume_data_buf(alert.params)
                (state / f"{alert.params.info_hashes.v1}.resume").write_bytes(data)
                left -= 1
            elif isinstance(alert, libtorrent.save_resume_data_failed_alert):
                left -= 1


if __name__ == "__main__":
    main()
