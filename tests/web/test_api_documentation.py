"""docs/api.md: every example is run, in order, against one client; and every path that there is has an example or a sentence."""

import base64
import json
import re

import pytest

from tests.processes.torrent_files import make_torrent
from tests.web.client_process import ROOT, ClientProcess
from ui.web.api import ROUTES

TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```http\n(?P<method>[A-Z]+) (?P<path>\S+)\n(?P<body>\{.*\}\n)?\n(?P<status>\d+)\n(?P<answer>\{.*\})\n```")
ANYTHING = "…"


def matches(said: object, wanted: object) -> bool:
    """`said` is what the example says, or has at least the keys that it names."""
    match wanted:
        case str() if wanted == ANYTHING:
            return True
        case dict():
            return isinstance(said, dict) and all(key in said and matches(said[key], value) for key, value in wanted.items())
        case list():
            return isinstance(said, list) and len(said) == len(wanted) and all(map(matches, said, wanted))
    return said == wanted


def test_every_example_is_answered_as_it_says(tmp_path):
    torrent = make_torrent(tmp_path, 300_000, announce="http://127.0.0.1:9/announce")
    examples = list(EXAMPLE.finditer(TEXT))
    assert len(examples) == TEXT.count("```http")
    with ClientProcess(tmp_path) as client:
        for example in examples:
            method, path, body, status, answer = (
                (text or "").replace("{info_hash}", torrent.info_hash.hex()).replace("{torrent}", base64.b64encode(torrent.path.read_bytes()).decode())
                for text in example.groups()
            )
            got = client.call(method, path, json.loads(body) if body else None)
            assert (got.status, matches(got.json, json.loads(answer))) == (int(status), True), (example[0], got)


@pytest.mark.parametrize("rule", list(ROUTES.iter_rules()), ids=str)
def test_every_path_is_documented(rule):
    path = re.escape(rule.rule).replace("<info_hash>", r"(\{info_hash\}|HASH)")
    for method in rule.methods - {"HEAD", "OPTIONS"}:
        assert re.search(rf"\b{method} {path}(?![\w/])", TEXT), f"{method} {rule.rule}"
