"""The client itself: engine, daemons and page, until SIGTERM or Ctrl-C."""

import argparse
import contextlib
import ipaddress
import os
import sys
from pathlib import Path

from actors.download_roots import DownloadRoots
from actors.resume_records import ResumeRecords
from actors.settings_file import SettingsFile
from actors.web_link import new_token
from protocol import web_messages as wm
from protocol.errors import SettingsError, StorageError
from ui.commands.command_line import one_line
from ui.commands.data_folder import DataFolder, owned_data_folder
from ui.commands.running_engine import download_folder, host_and_port, running_engine, why_not_listening

DEFAULT_WEB = "127.0.0.1:8866"
PASSWORD_VARIABLE = "EVENSWARM_WEB_PASSWORD"
MAX_PASSWORD_CHARS = 1_000
MIN_PASSWORD_CHARS = 8
WAIT_SECONDS = 3_600.0


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 after a clean end, however it was asked for."""
    folder = default_folder() if arguments.dir is None else arguments.dir
    roots = DownloadRoots([download_folder(text) for text in (folder, *arguments.root)])
    settings_file = SettingsFile(settings_path(arguments.config))
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(owned_data_folder(arguments.data))
        records = ResumeRecords(data.path, roots.roots[0], settings_file)
        engine_run = stack.enter_context(running_engine(arguments, base=settings_file.read(), records=records))
        for notice in engine_run.engine.notices:
            print(f"evenswarm: {one_line(notice)}", file=sys.stderr)
        for address in engine_run.engine.addresses:
            if not address.port:
                print(f"evenswarm: {why_not_listening(arguments, address)}; it goes on, but no peer can dial us", file=sys.stderr)
        configure = web_configuration(arguments, data)
        page = engine_run.engine.serve_page(configure, roots)
        scheme = "https" if configure.certificate else "http"
        reachable = f"{scheme}://{at(reachable_host(page.host), page.port)}"
        data.tell_address(reachable, configure.certificate)
        print(f"page {reachable}/?token={page.login_token}", flush=True)
        while not engine_run.interrupted:
            engine_run.wait_for_news(WAIT_SECONDS)
    return 0


def default_folder() -> str:
    """Where a browser would put what it downloads."""
    from platformdirs import user_downloads_dir

    return user_downloads_dir()


def settings_path(text: str | None) -> Path:
    """--config, or the file in the platform's folder for an application's settings. Raises SettingsError."""
    if text is not None:
        if not text:
            raise SettingsError("--config '': must name a file")
        return Path(text).absolute()
    from platformdirs import user_config_path

    return user_config_path("evenswarm") / "settings.toml"


def web_configuration(arguments: argparse.Namespace, data: DataFolder) -> wm.ConfigureWeb:
    """Raises SettingsError for what would be open to others, or makes no sense."""
    host, port = host_and_port(arguments.web or DEFAULT_WEB, "--web")
    password, certificate = password_of(arguments), arguments.web_cert or ""
    if arguments.web_key and not certificate:
        raise SettingsError("--web-key needs --web-cert")
    if not is_loopback(host):
        if not password:
            raise SettingsError(f"--web {arguments.web}: others can reach that, so it needs a password: --web-password-file FILE, or {PASSWORD_VARIABLE} in the environment")
        if not certificate:
            print(f"evenswarm: warning: --web {arguments.web} without TLS: others on the way can read the password; give --web-cert and --web-key, "
                  "or put a proxy with TLS before it", file=sys.stderr)
    return wm.ConfigureWeb(
        host=host, port=port, names=list(arguments.web_name), password=password, api_token=data.api_token(), login_token=new_token(),
        certificate=certificate and str(Path(certificate).absolute()), key=(arguments.web_key and str(Path(arguments.web_key).absolute())) or "",
        sessions=[], allow_private_urls=arguments.allow_private_urls,
    )


def password_of(arguments: argparse.Namespace) -> str:
    """From a file or the environment, never from the command line, which everybody on the machine can read. Raises SettingsError."""
    password = os.environ.pop(PASSWORD_VARIABLE, "")    # children need not know it
    if arguments.web_password_file:
        try:
            with open(arguments.web_password_file, encoding="utf-8") as stream:
                password = stream.read(MAX_PASSWORD_CHARS + 1).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"--web-password-file {arguments.web_password_file}: {getattr(error, 'strerror', None) or error}") from None
        if not password:
            raise SettingsError(f"--web-password-file {arguments.web_password_file}: is empty")
    if password and not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise SettingsError(f"the password of the page has {len(password)} characters, must have from {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS}")
    return password


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def reachable_host(host: str) -> str:
    """An address of the page for this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def at(host: str, port: int) -> str:
    """'127.0.0.1:8866', '[::1]:8866'."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
