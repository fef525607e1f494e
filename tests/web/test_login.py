"""Who is let in: the printed address, the login page, the cookie, the bearer token."""

import os
import re
import stat

import pytest

from tests.web.client_process import ClientProcess


@pytest.fixture
def own_client(tmp_path):
    with ClientProcess(tmp_path) as running:
        yield running


@pytest.mark.parametrize("path", ["/api/torrents", "/api/settings", "/api/events", "/api/nothing"])
def test_without_a_session_the_api_answers_401_with_a_sentence(client, path):
    answer = client.ask("GET", path)
    assert answer.status == 401
    assert "log in" in answer.error and answer.json["kind"] == "unauthorized"


@pytest.mark.parametrize("path", ["/", "/live.js", "/index.html", "/../setup.cfg", "/api"])
def test_without_a_session_every_other_path_shows_the_login_page_only(client, path):
    answer = client.ask("GET", path)
    assert answer.status == 401
    assert b'action="/login"' in answer.body


def test_the_token_of_the_printed_address_becomes_a_cookie_by_redirect_and_is_then_useless(own_client):
    first = own_client.ask("GET", f"/?token={own_client.login_token}")
    assert first.status == 303 and first.headers["Location"] == "/"
    again = own_client.ask("GET", f"/?token={own_client.login_token}")
    assert again.status == 401 and "Set-Cookie" not in again.headers
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    assert own_client.ask("GET", "/api/torrents", headers={"Cookie": cookie}).status == 200
    assert own_client.ask("GET", "/", headers={"Cookie": cookie}).status == 200
    assert own_client.ask("GET", f"/?token={own_client.login_token}", headers={"Cookie": cookie}).status == 303


def test_the_cookie_is_for_http_alone_and_for_this_site_alone(own_client):
    answer = own_client.ask("GET", f"/?token={own_client.login_token}")
    cookie = answer.headers["Set-Cookie"]
    assert re.search(r"; HttpOnly(;|$)", cookie) and re.search(r"; SameSite=Strict(;|$)", cookie) and re.search(r"; Path=/(;|$)", cookie)
    assert len(cookie.partition("=")[2].partition(";")[0]) >= 43      # 256 bits


def test_a_session_outlives_the_web_process_and_ends_with_the_logout(own_client):
    cookie = {"Cookie": own_client.cookie()}
    assert own_client.ask("POST", "/api/logout", headers=cookie).status == 303
    assert own_client.ask("GET", "/api/torrents", headers=cookie).status == 401


def test_a_wrong_cookie_is_none(client):
    name = f"evenswarm_{client.port}"
    for value in ("", "x", "A" * 43, "\u00e4", "x" * 5_000):
        assert client.ask("GET", "/api/torrents", headers={"Cookie": f"{name}={value}"}).status == 401


def test_the_bearer_token_is_in_a_file_that_only_its_owner_reads(client):
    assert client.call("GET", "/api/torrents").status == 200
    for name in ("api-token", "running.json"):
        assert stat.S_IMODE(os.stat(client.data / name).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(client.data).st_mode) == 0o700


def test_wrong_logins_are_limited_and_then_even_the_right_one_waits(own_client):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    statuses = [own_client.ask("POST", "/login", b"password=wrong", form).status for _ in range(5)]
    assert statuses == [401] * 5
    refused = own_client.ask("POST", "/login", f"password={own_client.api_token}".encode(), form)
    assert refused.status == 429 and int(refused.headers["Retry-After"]) > 0 and "try again in" in refused.error
    assert own_client.call("GET", "/api/torrents").status == 200        # nobody else's attempts lock scripts out


def test_who_can_read_the_token_file_may_log_in_with_it(own_client):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = own_client.ask("POST", "/login", f"password={own_client.api_token}".encode(), form)
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert own_client.ask("GET", "/api/torrents", headers={"Cookie": cookie}).status == 200
