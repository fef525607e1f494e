"""How pykka and gevent behave, as the rules for actors and greenlets say: each rule has a test here.

Some of these show the forbidden thing on purpose. When an upgrade makes one fail, the rule may be reconsidered.
"""

import ast
import os
import subprocess
import sys
import time

import gevent
import gevent.event
import gevent.monkey
import gevent.threadpool
import pykka
import pytest

from actors.engine_actor import TURN_SECONDS, EngineActor, spawn_later
from tests.architecture.source_tree import PACKAGES, ROOT, python_files
from tests.architecture.test_imports import refused_imports

DEADLINE_SECONDS = 10
SOURCES = [(str(path), ast.parse((ROOT / path).read_text(encoding="utf-8"))) for path in python_files(*PACKAGES)]


class ItDidNotCome(Exception):
    """What a test waited for."""


class Actor(pykka.ThreadingActor):
    """Calls what it is told and remembers what happened to it."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def on_receive(self, message):
        return message(self) if callable(message) else self.log.append(message)

    def on_stop(self):
        self.log.append("on_stop")

    def on_failure(self, *error):
        self.log.append("on_failure")


@pytest.fixture(autouse=True)
def actors_stopped():
    yield
    pykka.ActorRegistry.stop_all(block=False)
    gevent.sleep(0.001)
    for ref in pykka.ActorRegistry.get_all():           # one that died in on_start stays for ever
        pykka.ActorRegistry.unregister(ref)


@pytest.fixture
def log():
    return []


def wait_until(condition):
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        while not condition():
            gevent.sleep(0.001)


def raising(error):
    def handler(actor):
        raise error
    return handler


def calls(tree, name):
    """Yield the calls in `tree` of something whose last name is `name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", None) == name or getattr(node.func, "id", None) == name):
            yield node


# ── tell, stop, fail ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tell_to_a_dead_actor_raises(log):
    ref = Actor.start(log)
    ref.stop(timeout=DEADLINE_SECONDS)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("message")


def test_a_message_told_while_a_stop_is_on_its_way_is_dropped_silently(log):
    ref = Actor.start(log)
    ref.stop(block=False)
    ref.tell("dropped")
    wait_until(lambda: not ref.is_alive())
    assert log == ["on_stop"]


def test_an_exception_in_the_handler_of_a_tell_kills_the_actor_by_on_failure(log):
    ref = Actor.start(log)
    ref.tell(raising(ValueError("broken")))
    wait_until(lambda: log)
    assert not ref.is_alive() and log == ["on_failure"]


def test_an_exception_in_the_handler_of_an_ask_goes_to_the_asker_and_the_actor_lives_on(log):
    ref = Actor.start(log)
    with pytest.raises(ValueError, match="broken"):
        ref.ask(raising(ValueError("broken")), timeout=DEADLINE_SECONDS)
    assert ref.ask(lambda actor: "alive", timeout=DEADLINE_SECONDS) == "alive" and log == []


@pytest.mark.parametrize("error", [gevent.Timeout(1), gevent.GreenletExit(), SystemExit()], ids=lambda error: type(error).__name__)
def test_a_base_exception_in_a_handler_stops_all_actors_and_answers_no_asker(log, error):
    ref, other = Actor.start(log), Actor.start(log)
    answer = ref.ask(raising(error), block=False)
    wait_until(lambda: not other.is_alive())
    assert not ref.is_alive()
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.01)


def test_on_start_that_raises_leaves_a_dead_actor_and_no_on_failure(log):
    class Broken(Actor):
        def on_start(self):
            raise ValueError("broken")

    ref = Broken.start(log)
    wait_until(lambda: not ref.is_alive())
    assert log == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_on_start_that_raises_a_base_exception_leaves_an_actor_that_seems_alive_and_reads_nothing(log):
    class Broken(Actor):
        def on_start(self):
            raise SystemExit

    ref = Broken.start(log)
    ref.tell("message")
    gevent.sleep(0.01)
    assert ref.is_alive() and ref in pykka.ActorRegistry.get_all() and log == []
    with pytest.raises(pykka.Timeout):
        ref.stop(timeout=0.01)


@pytest.mark.parametrize(("path", "tree"), SOURCES, ids=[path for path, _ in SOURCES])
def test_on_start_does_no_more_than_tell_itself_to_begin(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "on_start":
            body = [statement for statement in node.body if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant)]
            assert [ast.unparse(statement) for statement in body] == ["self.actor_ref.tell(m.Begin())"]


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_actors_that_ask_each_other_deadlock(log):
    first, second = Actor.start(log), Actor.start(log)

    def ask_back(actor):
        return first.ask(lambda actor: "never", timeout=0.05)

    with pytest.raises(pykka.Timeout):
        first.ask(lambda actor: second.ask(ask_back, timeout=0.02), timeout=DEADLINE_SECONDS)


def test_an_actor_that_asks_itself_deadlocks(log):
    ref = Actor.start(log)
    with pytest.raises(pykka.Timeout):
        ref.ask(lambda actor: actor.actor_ref.ask("never", timeout=0.02), timeout=DEADLINE_SECONDS)


NOT_AN_ACTOR = {"self._gate.ask", "self.budget.ask", "lane.ask"}    # plain objects that are asked for a turn to announce


def asks_of_actors():
    return [(path, call) for path, tree in SOURCES for call in calls(tree, "ask") if ast.unparse(call.func) not in NOT_AN_ACTOR]


def test_only_what_stands_outside_asks_and_always_with_a_timeout():
    outside = ("ui/commands/", "actors/engine.py")
    assert [path for path, _ in asks_of_actors() if not path.startswith(outside)] == []
    assert [path for path, call in asks_of_actors() if "timeout" not in {keyword.arg for keyword in call.keywords}] == []


@pytest.mark.parametrize("forbidden", ["proxy", "get_by_class", "get_by_class_name", "get_by_urn"])
def test_nobody_uses_proxies_or_looks_actors_up(forbidden):
    assert [path for path, tree in SOURCES if any(calls(tree, forbidden))] == []


# ── what is bounded and what is not ──────────────────────────────────────────────────────────────────────────────────────


def test_an_inbox_has_no_bound(log):
    actor = Actor(log)
    for _ in range(100_000):
        actor.actor_ref.tell("message")
    assert actor.actor_inbox.qsize() == 100_000


def test_a_process_whose_actors_are_stopped_ends():
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import pykka\n"
        "ref = pykka.ThreadingActor.start()\n"
        "ref.stop(timeout=5)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=DEADLINE_SECONDS * 3)


# ── patches, timeouts, processes ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_locks_of_pykka_exclude_greenlets():
    assert type(pykka.ActorRegistry._actor_refs_lock._block).__module__ == "gevent.thread"
    assert gevent.monkey.is_module_patched("queue") and gevent.monkey.is_module_patched("threading")


@pytest.mark.parametrize("path", ["run.py", "daemon/__main__.py", "tests/conftest.py"])
def test_where_a_process_begins_nothing_is_imported_before_the_patches(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    before = []
    for node in sorted((node for node in ast.walk(tree) if hasattr(node, "lineno")), key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("patch_all"):
            break
        if isinstance(node, ast.ImportFrom):
            before += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            before += [alias.name for alias in node.names]
    else:
        pytest.fail("patches nothing")
    assert set(before) <= {"gevent.monkey", "os", "sys"}             # the last two are there before any program begins


def test_a_bare_gevent_timeout_is_no_exception_that_anybody_catches():
    assert not issubclass(gevent.Timeout, Exception)


def test_every_gevent_timeout_has_an_exception_of_ours():
    bare = [
        f"{path}:{call.lineno}" for path, tree in SOURCES for call in calls(tree, "Timeout")
        if ast.unparse(call.func) in ("gevent.Timeout", "Timeout") and len(call.args) + len(call.keywords) < 2
    ]
    assert bare == []


@pytest.mark.parametrize("source", ["import multiprocessing", "from concurrent.futures import ProcessPoolExecutor"])
def test_nobody_may_import_what_forks(source):
    assert refused_imports("actors", source) and refused_imports("daemon", source) and refused_imports("ui/commands", source)


def test_nobody_forks():
    assert [path for path, tree in SOURCES if any(calls(tree, "fork")) or any(calls(tree, "forkpty"))] == []


# ── the hub ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def timers_fired_while_a_full_inbox_is_emptied(actor_class):
    """400 messages of 0.5 ms; return how often a timer of 1 ms fired meanwhile."""
    done, fired = gevent.event.Event(), []
    actor = actor_class()
    for _ in range(400):
        actor.actor_ref.tell(lambda: busy(0.0005))
    actor.actor_ref.tell(done.set)
    pykka.ActorRegistry.register(actor.actor_ref)
    timer = gevent.get_hub().loop.timer(0.001, 0.001)
    timer.start(lambda: fired.append(1))
    actor._start_actor_loop()
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        done.wait()
    timer.stop()
    timer.close()
    return len(fired)


class Rude(pykka.ThreadingActor):
    """Never gives way."""

    def on_receive(self, message):
        message()


class Polite(EngineActor):
    """Gives way as all actors of the engine do."""

    def on_receive(self, message):
        self.give_way()
        message()


def test_an_actor_with_a_full_inbox_starves_the_hub():
    assert timers_fired_while_a_full_inbox_is_emptied(Rude) <= 2


def test_giving_way_lets_timers_in():
    assert timers_fired_while_a_full_inbox_is_emptied(Polite) >= 0.2 / TURN_SECONDS / 4     # 0.2 s of work; four times slower is no fault


def test_sleeping_for_0_would_not_let_timers_in_as_often():
    class Sleepy(pykka.ThreadingActor):
        def on_receive(self, message):
            gevent.sleep(0)
            message()

    assert timers_fired_while_a_full_inbox_is_emptied(Sleepy) < 400 / 4


def test_a_timer_that_a_busy_actor_sets_is_not_early():
    fired = gevent.event.AsyncResult()

    def turn():
        busy(0.05)                                      # the loop's own idea of now is that old
        began = time.monotonic()
        spawn_later(0.02, lambda: fired.set(time.monotonic() - began))

    gevent.spawn(turn)
    with gevent.Timeout(DEADLINE_SECONDS, ItDidNotCome):
        assert fired.get() >= 0.019


def test_tell_from_an_os_thread_does_not_wake_the_hub(log):
    ref = Actor.start(log)
    gevent.sleep(0.01)
    start_thread = gevent.monkey.get_original("_thread", "start_new_thread")
    sleep_in_thread = gevent.monkey.get_original("time", "sleep")

    def tell_from_thread():
        sleep_in_thread(0.02)
        ref.tell("message")

    spawn_later(0.3, lambda: log.append("timer"))
    start_thread(tell_from_thread, ())
    wait = gevent.event.Event()
    wait.wait(timeout=0.4)                              # nothing but these two timers can wake the hub
    assert log == ["timer", "message"]


def test_what_a_thread_returns_reaches_an_actor_by_a_greenlet_that_waited_for_it(log):
    ref, pool = Actor.start(log), gevent.threadpool.ThreadPool(1)
    gevent.spawn(lambda: ref.tell(pool.spawn(len, b"piece").get()))
    wait_until(lambda: log == [5])
    pool.kill()


def test_spawning_into_a_full_thread_pool_switches(log):
    pool = gevent.threadpool.ThreadPool(1)
    reading, writing = os.pipe()
    pool.spawn(gevent.monkey.get_original("os", "read"), reading, 1)        # its one thread is busy
    pool.spawn(len, b"")                                # and its queue is full
    gevent.spawn(log.append, "another greenlet")
    gevent.spawn(os.write, writing, b"x")
    pool.spawn(len, b"")
    assert log == ["another greenlet"]
    pool.join()
    os.close(reading)
    os.close(writing)


def test_disk_and_hashing_do_not_use_the_pool_of_the_hub_which_also_resolves_names():
    users = {path for path, tree in SOURCES for node in ast.walk(tree) if getattr(node, "attr", None) == "threadpool" and "hub" in ast.unparse(node)}
    assert [path for path in users if path.startswith("daemon/")] == []


def test_a_greenlet_that_fails_tells_nobody(log, capsys):
    greenlet = gevent.spawn(raising(ValueError("broken")), None)
    ref = Actor.start(log)
    assert ref.ask(lambda actor: "alive", timeout=DEADLINE_SECONDS) == "alive"
    wait_until(greenlet.ready)
    assert isinstance(greenlet.exception, ValueError) and log == []
    assert "ValueError: broken" in capsys.readouterr().err
