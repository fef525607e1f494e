"""All payloads at once from one client to another: a run for each pair, its result judged case by case."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.interop.drivers import (
    CLIENTS,
    TRANSFER_SECONDS,
    Aria2,
    ForeignClient,
    Tracker,
    evenswarm,
    listening_address,
    needs,
)
from tests.interop.loopback_network import LoopbackNetwork
from tests.interop.payloads import CASES, PADDING_FOLDER, Case, Payload, missing_maker
from tests.processes.evenswarm_process import EvenswarmProcess

# (name of the client, case): what each of them can read
PAIRS = [(name, case) for name in CLIENTS for case in CASES if name not in case.not_for]
QUOTED_CHARACTERS = 2_000
SHOWN_DIFFERENCES = 5


@dataclass
class Exchange:
    """What came of it: the folder that was downloaded into, what went wrong on the way, what Evenswarm said and logged."""

    content: Path
    problem: str = ""
    exit_code: int | None = None
    said: str = ""
    events: list[dict] = field(default_factory=list)

    @contextlib.contextmanager
    def keep_account(self, ours: EvenswarmProcess, theirs: ForeignClient) -> Iterator[None]:
        """Note what both did; what fails is a problem, because the cases that went well are to be judged all the same."""
        try:
            yield
        except AssertionError as error:
            self.problem = f"{error}\nEvenswarm said: {ours.said()[-QUOTED_CHARACTERS:]}\n{theirs.name} said: {theirs.said()[-QUOTED_CHARACTERS:]}"
        self.said, self.events = ours.said(), list(ours.events)


class Exchanges:
    """By the name of the other client; each is run when it is first asked for."""

    def __init__(self, run: Callable[..., Exchange], network: LoopbackNetwork, payloads: dict[str, Payload], new_folder: Callable[[str], Path]) -> None:
        self._run, self._network, self._payloads, self._new_folder = run, network, payloads, new_folder
        self._by_name: dict[str, Exchange] = {}

    def with_client(self, name: str) -> Exchange:
        """Skips the test when that client is not there."""
        needs(CLIENTS[name], self._network, by_tracker=self._run is from_evenswarm)
        if name not in self._by_name:
            folder = self._new_folder(name)
            self._by_name[name] = Exchange(folder)      # if it breaks off: nothing came
            self._by_name[name] = self._run(CLIENTS[name], self._network, list(self._payloads.values()), folder)
        return self._by_name[name]


def foreign(client: type[ForeignClient], network: LoopbackNetwork, folder: Path, torrents: list[Path], has_content: bool) -> ForeignClient:
    """That client; `has_content`: it is to check what lies in its folder."""
    return client(network, folder, torrents, **({"has_content": has_content} if client is Aria2 else {}))


def to_evenswarm(client: type[ForeignClient], network: LoopbackNetwork, payloads: list[Payload], folder: Path) -> Exchange:
    """`client` seeds, `download` downloads. It finds aria2 by the tracker, the others also by --peer."""
    shared = [payload for payload in payloads if client.name not in payload.case.not_for]
    exchange = Exchange(folder / "evenswarm" / "content")
    with Tracker(network, folder) as tracker:
        torrents = [payload.with_tracker(folder, tracker.url) for payload in shared]
        seed = foreign(client, network, folder / "seed", torrents, has_content=True)
        for payload in shared:
            payload.copy_content(seed.content, with_padding=not client.knows_padding)
        with seed:
            seed.wait_ready()
            peers = () if client is Aria2 else ("--peer", seed.address)
            with evenswarm(network, folder / "evenswarm", "download", *map(str, torrents), *peers) as ours, exchange.keep_account(ours, seed):
                exchange.exit_code = ours.wait(TRANSFER_SECONDS)
    return exchange


def from_evenswarm(client: type[ForeignClient], network: LoopbackNetwork, payloads: list[Payload], folder: Path) -> Exchange:
    """`seed` seeds, `client` downloads. A tracker, to which both announce, brings them together."""
    shared = [payload for payload in payloads if client.name not in payload.case.not_for]
    with Tracker(network, folder) as tracker:
        torrents = [payload.with_tracker(folder, tracker.url) for payload in shared]
        content = folder / "evenswarm" / "content"
        content.mkdir(parents=True)
        for payload in shared:
            payload.copy_content(content, with_padding=False)
        leech = foreign(client, network, folder / "leech", torrents, has_content=False)
        exchange = Exchange(leech.content)
        with evenswarm(network, folder / "evenswarm", "seed", *map(str, torrents)) as ours:
            listening_address(ours)
            with leech, exchange.keep_account(ours, leech):
                leech.wait_complete()
    return exchange


def assert_same_bytes(case: Case, payloads: dict[str, Payload], exchange: Exchange, downloader: type[ForeignClient] | None = None) -> None:
    """The files of this case arrived as they were made, and nothing else did; but for the habits of a foreign downloader."""
    if (reason := missing_maker(case.maker)) is not None:
        pytest.skip(reason)
    habits = {} if downloader is None else {"ignore": (PADDING_FOLDER,), "needs_empty_files": downloader.writes_empty_files}
    differences = payloads[case.name].differences(exchange.content, **habits)
    assert not differences, "\n".join([f"{len(differences)} files differ", *differences[:SHOWN_DIFFERENCES], exchange.problem])
