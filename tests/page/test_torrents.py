"""Torrents on the page: worked by keys alone, dropped, named by an enemy; a web process that dies; the weight of it all."""

import re

import gevent

from protocol.errors import SettingsError
from scheduler.settings import PROFILES, Settings, settings_from
from tests.page.small_torrents import small_torrent
from ui.web.pages import FOLDER

NAMES = "[...document.querySelectorAll('#torrents .grid-row:not([hidden])')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(row => row.querySelector('.name').textContent)"
MAX_WEIGHT_BYTES = 150_000
HOSTILE = "<img src=x onerror=alert(1)>&amp;{{7*7}}\u202egnp.exe"


def states(client):
    return {torrent["name"]: torrent["state"] for torrent in client.call("GET", "/api/torrents").json["torrents"]}


def until(condition):
    """Wait for what the engine does."""
    with gevent.Timeout(20):
        while not condition():
            gevent.sleep(0.05)


def test_without_torrents_the_page_says_what_to_do_next(page):
    page.wait_for("!document.querySelector('#no-torrents').hidden")
    assert "Drop a .torrent" in page.text("#no-torrents")


def test_a_torrent_is_added_selected_stopped_started_and_removed_by_keys_alone(page, client, tmp_path):
    path = tmp_path / "orchard.torrent"
    path.write_bytes(small_torrent("orchard.bin"))
    page.press("a")
    page.wait_for("document.querySelector('#add-dialog').open && document.activeElement.id === 'add-files'")
    page.choose_files("#add-files", path)
    page.wait_for("document.querySelector('#add-chosen').innerText.includes('orchard.bin') && document.activeElement.id === 'add-submit'")
    page.press("Enter")
    page.wait_for(f"!document.querySelector('#add-dialog').open && {NAMES}.includes('orchard.bin')")
    page.press("t")
    page.wait_for("document.activeElement.getAttribute('aria-activedescendant') !== null")
    until(lambda: states(client)["orchard.bin"] == "downloading")
    page.press(" ")
    until(lambda: states(client)["orchard.bin"] == "stopped")
    page.wait_for("document.querySelector('#torrents .grid-row:not([hidden]) .cell-state').textContent === 'Stopped'")
    page.press(" ")
    until(lambda: states(client)["orchard.bin"] == "downloading")
    page.press("Delete")
    page.wait_for("document.querySelector('#remove-dialog').open && document.activeElement.id === 'remove-cancel'")
    page.press("Tab")
    page.press("Enter")
    page.wait_for(f"!{NAMES}.includes('orchard.bin')")
    until(lambda: not states(client))


def test_a_question_that_is_answered_with_escape_removes_nothing(page, client, add):
    add("kites.bin")
    page.wait_for(f"{NAMES}.length === 1")
    page.press("t")
    page.press("Delete")
    page.wait_for("document.querySelector('#remove-dialog').open")
    page.press("Escape")
    page.wait_for("!document.querySelector('#remove-dialog').open")
    assert list(states(client)) == ["kites.bin"]


def test_a_torrent_that_is_dropped_on_the_page_is_shown_with_its_files_before_it_is_added(page, tmp_path):
    path = tmp_path / "album.torrent"
    path.write_bytes(small_torrent("album", files=("one.flac", "two.flac")))
    page.drop_files(path)
    page.wait_for("document.querySelector('#add-dialog').open && document.querySelector('#add-chosen').innerText.includes('2 files')")
    assert page.value("document.querySelector('#add-chosen').textContent.includes('two.flac')")
    page.press("Enter")
    page.wait_for(f"{NAMES}.includes('album')")


def test_what_is_no_torrent_is_refused_with_a_sentence(page, tmp_path):
    path = tmp_path / "picture.torrent"
    path.write_bytes(b"\x89PNG no torrent at all")
    page.drop_files(path)
    page.wait_for("document.querySelector('#errors').innerText.includes('picture.torrent: this is no .torrent')")


def test_a_link_that_is_pasted_opens_the_dialog_with_it(page):
    link = "magnet:?xt=urn:btih:" + "ab" * 20
    page.value("(() => { const data = new DataTransfer(); data.setData('text/plain', '" + link + "');"
               "document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); })()")
    page.wait_for(f"document.querySelector('#add-dialog').open && document.querySelector('#add-links').value === {link!r}")


def test_names_that_are_markup_or_turn_the_line_are_shown_as_text_everywhere(page, client, add):
    info_hash = add(HOSTILE, comment="<script>alert(2)</script>\u202e\x07", files=("<b>bold</b".replace("/", "_") + ">", "\u202efdp.exe"))
    page.wait_for(f"{NAMES}.length === 1")
    shown = page.value(f"{NAMES}[0]")
    assert "<img src=x onerror=alert(1)>&amp;{{7*7}}" in shown and "\u202e" not in shown
    page.press("t")
    page.wait_for("document.querySelector('#details-name').textContent.includes('<img')")
    for number, wanted in (("3", "<b>bold<_b>"), ("7", "<script>alert(2)</script>")):
        page.press(number)
        page.wait_for(f"document.querySelector('#panels').innerText.includes({wanted!r})")
    page.press("Delete")
    page.wait_for("document.querySelector('#remove-names').textContent.includes('<img')")
    page.press("Escape")
    assert page.value("document.images.length + document.querySelectorAll('b:not(#totals b), #panels script, dialog script').length") == 0
    assert "\u202e" not in page.value("document.body.textContent") and info_hash in states_by_hash(client)


def states_by_hash(client):
    return {torrent["info_hash"] for torrent in client.call("GET", "/api/torrents").json["torrents"]}


def test_torrents_are_filtered_by_name_and_the_filter_is_left_by_escape(page, add):
    for name in ("maps.bin", "papers.bin", "survey.bin"):
        add(name, start=False)
    page.wait_for(f"{NAMES}.join() === 'maps.bin,papers.bin,survey.bin'")
    page.press("/")
    page.type("pap")
    page.wait_for(f"{NAMES}.join() === 'papers.bin'")
    page.press("Escape")
    page.wait_for(f"{NAMES}.length === 3 && document.activeElement.getAttribute('role') === 'grid'")


def test_the_controls_change_the_engine(page, client):
    page.value("(() => { const input = document.querySelector('[name=connection_rate]'); input.focus(); input.select(); })()")
    page.type("7")
    page.press("Enter")
    until(lambda: client.call("GET", "/api/settings").json["connection_rate"] == 7)
    page.wait_for("document.querySelector('#rate-words').textContent.startsWith('7/s')")
    page.value("(() => { const select = document.querySelector('#profile'); select.value = 'weak-router'; select.dispatchEvent(new Event('change')); })()")
    until(lambda: client.call("GET", "/api/settings").json["half_open_limit"] == PROFILES["weak-router"].half_open_limit)
    page.wait_for(f"document.querySelectorAll('#board .slot').length === {PROFILES['weak-router'].half_open_limit}")
    assert client.call("PATCH", "/api/settings", {"profile": "conservative"}).status == 200


def test_a_setting_out_of_its_range_is_refused_in_the_dialog_with_the_clients_sentence(page):
    page.press("s")
    page.wait_for("document.querySelector('#settings-dialog').open")
    assert "default 200" in page.text("#setting-global_connection_limit-hint")
    page.value("(() => { document.querySelector('#setting-listen_host').value = ''; document.querySelector('#setting-num_want').value = '77';"
               "document.querySelector('#settings-dialog form').noValidate = true; document.querySelector('#setting-connect_timeout').value = '9999';"
               "document.querySelector('#settings-dialog form').requestSubmit(); })()")
    page.wait_for("document.querySelector('#settings-error').textContent.includes('connect_timeout')")


def test_the_pages_table_of_settings_is_that_of_the_engine():
    rows = re.findall(r'^  \["(\w+)", "\w+", "[^"]+", "[^"]*", (\S+), (\S+), (.+)\],$', (FOLDER / "js" / "settings_table.js").read_text(), re.MULTILINE)
    told = {key: (lowest, highest, default) for key, lowest, highest, default in rows}
    simple = {key for key, field in Settings.__dataclass_fields__.items() if field.type in (bool, int, float, str)}
    assert simple - told.keys() == set() and told.keys() - simple == set()
    for key, (lowest, highest, default) in told.items():
        value = getattr(Settings(), key)
        assert default == (str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)), key
        for bound, step in ((lowest, -1), (highest, 1)):
            if bound != "null":
                settings_from({key: float(bound)})
                try:
                    settings_from({key: float(bound) + step})
                except SettingsError:
                    continue
                raise AssertionError(f"{key} may be beyond {bound}")



def test_the_page_weighs_less_than_150_kb(page, client):
    page.open(f"http://127.0.0.1:{client.port}/")
    page.wait_for("document.body.dataset.connection === 'live'")
    weight = page.value("performance.getEntries().filter(entry => entry.encodedBodySize && !entry.name.includes('/api/')).reduce((sum, entry) => sum + entry.encodedBodySize, 0)")
    assert 20_000 < weight < MAX_WEIGHT_BYTES
    assert page.value("performance.getEntriesByType('resource').every(entry => new URL(entry.name).origin === location.origin)")
