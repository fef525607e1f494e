"""The settings file: what it may say, what is told about what it may not, and what a change leaves of it."""

import os
import tomllib

import pytest

from actors.settings_file import HEAD, SettingsFile, profile_keys
from protocol.errors import SettingsError, StorageError
from scheduler.settings import PROFILES, Settings, settings_from


@pytest.fixture
def file(tmp_path):
    return SettingsFile(tmp_path / "config" / "settings.toml")


def written(file, text):
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_text(text)
    return file


def test_a_file_that_is_not_there_says_nothing(file):
    assert file.read() == Settings()


def test_what_it_says_is_laid_over_the_defaults_and_single_keys_beat_the_profile(file):
    text = '# mine\nprofile = "weak-router"\nhalf_open_limit = 7\nconnection_rate = 3\nseeds_dial = false\n'
    assert written(file, text).read() == settings_from({"profile": "weak-router", "half_open_limit": 7, "connection_rate": 3.0, "seeds_dial": False})


@pytest.mark.parametrize(("text", "error"), [
    ("half_open_limit = 0", "settings.toml, line 1: setting half_open_limit is 0, must be between 1 and 10000"),
    ("\n\nhalf_open_limit = true", "settings.toml, line 3: setting half_open_limit is True, must be of type int"),
    ('# x\n"half_open_limit" = "15"', "settings.toml, line 2: setting half_open_limit is '15', must be of type int"),
    ("half_open_limits = 15", "settings.toml, line 1: setting 'half_open_limits' is not known; there are: "),
    ('profile = "fast"', "settings.toml, line 1: setting profile is 'fast', must be one of conservative"),
    ("profile =", "settings.toml: is no TOML: Invalid value"),
    ("daemons = 1\nhalf_open_limit 16", "settings.toml: is no TOML: .*line 2"),
    ("daemons = 1\ndaemons = 2", "settings.toml: is no TOML: Cannot overwrite a value"),
    ("[connections]\nrate = 1", "connections must be one value"),
    ("daemons = [1]", "settings.toml, line 1: daemons must be one value"),
    ("a." * 2_000 + "b = 1", "must be one value"),
    ("x" * (1 << 20), "no TOML"),
    ("#" * ((1 << 20) + 1), "bytes, which no settings need"),
])
def test_an_error_names_the_file_the_line_the_key_and_what_is_allowed(file, text, error):
    with pytest.raises(SettingsError, match=error):
        written(file, text).read()


def test_bytes_that_are_no_text_are_named_by_their_line(file):
    written(file, "")
    file.path.write_bytes(b"daemons = 1\n# \xff\n")
    with pytest.raises(SettingsError, match="line 2: is no UTF-8"):
        file.read()


def test_a_file_that_cannot_be_read_is_an_error_not_nothing(file):
    file.path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot read the settings file"):
        file.read()


def test_a_change_makes_the_file_and_comes_back(file):
    file.change({"half_open_limit": 15, "seeds_dial": False, "listen_host": '::1 "\\\n', "incoming_reserve": 0.25})
    assert tomllib.loads(file.path.read_text()) == {"half_open_limit": 15, "seeds_dial": False, "listen_host": '::1 "\\\n', "incoming_reserve": 0.25}
    assert file.path.read_text().startswith(HEAD)
    assert os.listdir(file.path.parent) == ["settings.toml"]


def test_a_change_leaves_what_the_user_wrote(file):
    written(file, "# mine\nhalf_open_limit = 20   # my router is old\n\ndaemons=2\n").change({"half_open_limit": 15, "num_want": 10})
    assert file.path.read_text() == "# mine\nhalf_open_limit = 15\n\ndaemons=2\nnum_want = 10\n"


def test_a_profile_takes_away_the_keys_that_it_sets(file):
    written(file, "half_open_limit = 20\ndaemons = 2\n").change({"profile": "aggressive"})
    assert file.read() == settings_from({"profile": "aggressive", "daemons": 2})


@pytest.mark.parametrize("name", PROFILES)
def test_the_keys_of_a_profile_are_those_that_it_changes(name):
    assert {"connection_rate", "half_open_limit", "announce_rate"} <= profile_keys(name)
    assert not {"daemons", "listen_port", "router_entries"} & profile_keys(name)


def test_keys_over_several_lines_are_replaced_too(file):
    written(file, 'listen_host = """\n127.0.0.1"""\n').change({"daemons": 2})
    assert tomllib.loads(file.path.read_text()) == {"listen_host": "127.0.0.1", "daemons": 2}


def test_a_change_that_cannot_be_written_leaves_the_file_as_it_was(file):
    written(file, "daemons = 2\n")
    (file.path.parent / "settings.toml.new").mkdir()
    with pytest.raises(StorageError, match=r"settings\.toml"):
        file.change({"daemons": 3})
    assert file.path.read_text() == "daemons = 2\n"
