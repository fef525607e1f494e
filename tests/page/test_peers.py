"""The Peers tab in a real Chromium: the life of a row, counts, the toggle, sorting, banning."""

import re

import pytest

from tests.page.loopback_peers import refused_address

ROW = ".grid-peers .grid-row:not([hidden])"
STATES = "[...document.querySelectorAll('.grid-peers .grid-row:not([hidden])')].map(row => row.querySelector('.word').textContent)"


@pytest.fixture
def looked_at(page, add):
    """The page with one torrent, selected; its info hash."""
    info_hash = add()
    page.wait_for("document.querySelectorAll('#torrents .grid-row:not([hidden])').length === 1")
    page.press("t")
    page.wait_for("document.querySelector('#details-name').textContent !== ''")
    return info_hash


def add_peers(client, info_hash, *addresses):
    answer = client.call("POST", f"/api/torrents/{info_hash}/peers", {"peers": list(addresses)})
    assert answer.status == 200, answer.body


def state_is(word):
    return f"document.querySelector('.grid-peers .grid-row:not([hidden]) .word')?.textContent === {word!r}"



def test_a_refused_peer_is_failed_with_its_reason_and_the_next_try_counts_down(page, client, looked_at):
    add_peers(client, looked_at, refused_address())
    page.wait_for(state_is("Failed"))
    assert "refused" in page.text(f"{ROW} .cell-error")
    first = page.wait_for(f"/^\\d+ s$|^\\d+:\\d\\d$/.test(document.querySelector({ROW + ' .cell-next'!r}).textContent) && document.querySelector({ROW + ' .cell-next'!r}).textContent")
    page.wait_for(f"document.querySelector({ROW + ' .cell-next'!r}).textContent !== {first!r}")
    assert page.value(f"document.querySelector({ROW + ' .cell-next'!r}).title") != "", "the exact time on hover"


def test_counts_are_those_of_the_rows_and_the_toggle_hides_what_is_not_connected(page, client, looked_at, silent_peer):
    silent_peer.speak()
    add_peers(client, looked_at, silent_peer.address, refused_address(), refused_address())
    page.wait_for(f"{STATES}.filter(word => word === 'Failed').length === 2 && {STATES}.includes('Connected')")
    page.wait_for("document.querySelector('#peer-counts').textContent === '1 connected, 2 failed'")
    page.wait_for("document.querySelector('#torrents .grid-row:not([hidden]) .cell-peers').getAttribute('aria-label') === '1 connected, 2 failed'")
    page.click("#show-all-peers")
    page.wait_for(f"{STATES}.length === 1")
    page.click("#show-all-peers")
    page.wait_for(f"{STATES}.length === 3")


def test_a_click_on_a_column_sorts_by_it_and_another_turns_the_order(page, client, looked_at):
    page.press("p")
    addresses = [f"127.0.0.{number}:{6880 + number}" for number in (11, 2, 30)]
    add_peers(client, looked_at, *addresses)
    page.wait_for(f"{STATES}.length === 3")
    order = "[...document.querySelectorAll('.grid-peers .grid-row:not([hidden])')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(row => row.querySelector('.cell-address').textContent)"
    page.click(".grid-peers .grid-head .cell-address .column")
    assert page.value(order) == ["127.0.0.2:6882", "127.0.0.11:6891", "127.0.0.30:6910"], "numbers in order, not digits"
    assert page.value("document.querySelector('.grid-peers .grid-head .cell-address').ariaSort") == "ascending"
    page.click(".grid-peers .grid-head .cell-address .column")
    assert page.value(order) == ["127.0.0.30:6910", "127.0.0.11:6891", "127.0.0.2:6882"]


def test_a_row_opens_its_history_by_enter_and_the_peer_can_be_banned_there(page, client, looked_at):
    address = refused_address()
    add_peers(client, looked_at, address)
    page.wait_for(state_is("Failed"))
    page.value("document.querySelector('.grid-peers').focus()")
    page.press("ArrowDown")
    page.press("Enter")
    page.wait_for(f"!document.querySelector('#peer-detail').hidden && document.querySelector('#peer-detail h3').textContent === {address!r}")
    assert re.search(r"Attempts\s+1", page.text("#peer-detail"))
    page.value("[...document.querySelectorAll('#peer-detail button')].find(button => button.textContent === 'Ban').click()")
    page.wait_for("document.querySelector('#peer-detail').innerText.includes('banned by you')")


def test_a_peer_is_added_by_hand_and_what_is_no_address_is_refused_with_a_sentence(page, looked_at):
    page.press("p")
    page.value("document.querySelector('#peer-field').focus()")
    page.type("127.0.0.9:7000")
    page.press("Enter")
    page.wait_for(f"{STATES}.length === 1")
    page.type("nonsense")
    page.press("Enter")
    page.wait_for("document.querySelector('#errors').innerText.includes('must be ip:port')")
