"""Bad input to each call: a sentence and 4xx, never a 500, never a traceback. EVENSWARM_FUZZ_REQUESTS=100000 for a long run."""

import json
import os
import random
from collections import Counter

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ClientProcess

REQUESTS = int(os.environ.get("EVENSWARM_FUZZ_REQUESTS", "10000"))
SEED = int(os.environ.get("EVENSWARM_FUZZ_SEED", "5"))
METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "HEAD")
WORDS = (
    "torrents", "start", "stop", "recheck", "announce", "peers", "ban", "unban", "files", "trackers", "queue", "pause", "resume", "settings",
    "client", "..", "%2e%2e", "", "%00", "\u00e4", "x" * 300, "events?peers=x", "move",
)
KEYS = (
    "torrent", "url", "magnet", "folder", "priority", "start", "peers", "source", "data", "peer", "reason", "half_open_limit", "profile",
    "connection_rate", "listen_host", "", "x" * 100, "__class__", "\u0000",
)
TEXTS = ("", "x", "magnet:?xt=urn:btih:" + "g" * 40, "http://127.0.0.1/", "../..", "high", "127.0.0.1:1", "\u0000", "\ud800", "Z" * 5_000, "ZGU=", "true", "1e999", "\u202e")
TYPES = ("application/json", "application/json; charset=utf-16", "multipart/form-data", "multipart/form-data; boundary=x", "application/x-bittorrent",
         "application/x-www-form-urlencoded", "", "x")


def a_value(rng: random.Random, depth: int = 0) -> object:
    kind = rng.randrange(9 if depth < 4 else 6)
    match kind:
        case 0: return rng.choice(TEXTS)
        case 1: return rng.choice((0, 1, -1, 2 ** 31, 2 ** 63, 2 ** 64, 10 ** 40, True, False, None))
        case 2: return rng.choice((0.5, -0.0, 1e308, 5e-324))
        case 3: return rng.randrange(-10, 100)
        case 4 | 5: return rng.choice(TEXTS)
        case 6: return [a_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _: return {rng.choice(KEYS): a_value(rng, depth + 1) for _ in range(rng.randrange(5))}


def a_body(rng: random.Random) -> bytes:
    match rng.randrange(6):
        case 0: return b""
        case 1: return rng.randbytes(rng.randrange(200))
        case 2: return rng.choice((b"[" * 50_000, b'{"a":' * 50_000, b"\xff\xfe", b"nan", b'"\\ud800"', b"d4:infod4:name1:xee", b"--x\r\n\r\n--x--"))
        case _: return json.dumps(a_value(rng) if rng.random() < 0.3 else {rng.choice(KEYS): a_value(rng) for _ in range(rng.randrange(4))}).encode()


def a_path(rng: random.Random, info_hash: str) -> str:
    words = ["api"]
    if rng.random() < 0.7:
        words += ["torrents", rng.choice((info_hash, info_hash.upper(), "0" * 40, "z" * 40, info_hash[:39]))]
    words += [rng.choice(WORDS) for _ in range(rng.randrange(3))]
    path = "/" + "/".join(words)
    query = rng.choice(("", "", "", "?data=true", "?data=x", "?start=false&priority=x", "?folder=../x", "?peers=x", "?%00=%ff"))
    return "".join(char if char.isascii() else f"%{ord(char) & 255:02x}" for char in path + query)


def test_random_requests_are_answered_with_a_sentence_and_never_with_500(tmp_path):
    rng = random.Random(SEED)
    torrent = make_torrent(tmp_path, 1_000)
    with ClientProcess(tmp_path) as client:
        client.call("POST", "/api/torrents?start=false", torrent.path.read_bytes(), {"Content-Type": "application/x-bittorrent"})
        statuses: Counter[int] = Counter()
        connection = client.connection()
        for number in range(REQUESTS):
            method, path, body = rng.choice(METHODS), a_path(rng, torrent.info_hash.hex()), a_body(rng)
            headers = {"Authorization": f"Bearer {client.api_token}", "Content-Type": rng.choice(TYPES)}
            if method == "HEAD":
                body = b""
            try:
                connection.request(method, path, body or None, headers)
                answer = connection.getresponse()
            except OSError:                             # it closed a connection whose body it did not want
                connection.close()
                continue
            if answer.headers.get_content_type() == "text/event-stream":
                connection.close()
                continue
            said = answer.read()
            statuses[answer.status] += 1
            what = (SEED, number, method, path, body[:200], answer.status, said[:300])
            assert answer.status < 500, what
            assert b"Traceback" not in said and b".py" not in said, what
            if answer.status >= 400 and method != "HEAD":
                assert set(json.loads(said)) == {"error", "kind"} and len(json.loads(said)["error"]) > 10, what
        connection.close()
        assert client.call("GET", "/api/torrents").status == 200
        assert "Traceback" not in client.complaints()
        assert statuses[400] > REQUESTS / 100 and statuses[404] > REQUESTS / 100 and statuses[200] > 0, statuses
