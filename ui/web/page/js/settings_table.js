// The settings in words: [key, group, name, unit, lowest, highest, default]. A test compares it with scheduler/settings.py.

export const SETTINGS = [
  ["profile", "Turns", "Profile", "", null, null, "conservative"],
  ["connection_rate", "Turns", "Dials", "per second, 0 = unlimited", 0, 10000, 10],
  ["connection_burst", "Turns", "Dials at once, after a pause", "dials", 1, 10000, 20],
  ["drain_interval", "Turns", "Turns are given out each", "seconds", 0.01, 10, 0.1],
  ["half_open_limit", "Turns", "Half-open at once", "dials and handshakes", 1, 10000, 30],
  ["unanswered_limit", "Turns", "Dials without an answer", "in any 120 s", 1, 1000000, 300],
  ["router_entries", "Turns", "The router’s table holds (profile auto)", "connections", 64, 10000000, 256],
  ["lease_seconds", "Turns", "A turn that nobody uses comes back after", "seconds", 0.1, 600, 2],
  ["seeds_dial", "Turns", "Complete torrents dial, one turn in ten", "", null, null, true],
  ["global_connection_limit", "Connections", "Connections of all torrents", "connections", 1, 100000, 200],
  ["torrent_connection_limit", "Connections", "Connections of one torrent", "connections", 1, 10000, 50],
  ["incoming_reserve", "Connections", "Kept for incoming ones", "share of all, 0 to 0.9", 0, 0.9, 0.1],
  ["connect_timeout", "Connections", "Timeout of a dial, until it is learned", "seconds", 0.1, 120, 10],
  ["handshake_timeout", "Connections", "Timeout of a handshake", "seconds", 0.1, 120, 10],
  ["idle_seconds", "Connections", "Of no use to either side for", "seconds", 0.1, 86400, 300],
  ["listen_host", "Connections", "Listens at", "IP address", null, null, "0.0.0.0"],
  ["listen_port", "Connections", "Listens on port", "0 = any free one", 0, 65535, 0],
  ["offline", "Connections", "Offline: only the given trackers and peers", "", null, null, false],
  ["num_want", "Trackers", "Peers asked of a tracker", "peers", 0, 1000, 50],
  ["announce_rate", "Trackers", "Announces", "per second", 0.1, 10000, 20],
  ["announce_burst", "Trackers", "Announces at once, after a pause", "announces", 1, 10000, 50],
  ["announces_under_way", "Trackers", "Announces under way", "announces", 1, 10000, 30],
  ["upload_slots", "Data", "Peers that a torrent gives to", "peers", 1, 1000, 8],
  ["max_pipeline_depth", "Data", "Blocks asked of one peer ahead", "blocks", 1, 5000, 500],
  ["piece_buffer_bytes", "Data", "Memory for pieces that arrive", "bytes, of each I/O process", 1048576, 17179869184, 33554432],
  ["read_cache_bytes", "Data", "Memory for pieces that are served", "bytes, of each I/O process", 1048576, 17179869184, 4194304],
  ["daemons", "Data", "I/O processes", "processes", 1, 64, 1],
];

export const PROFILES = ["conservative", "moderate", "aggressive", "weak-router", "auto"];
