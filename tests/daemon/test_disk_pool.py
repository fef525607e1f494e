"""DiskPool: native threads beside a real hub."""

import hashlib
import subprocess
import sys
import time

import gevent
import pytest
from gevent.event import AsyncResult, Event
from gevent.monkey import get_original

from daemon import disk_pool
from daemon.disk_pool import DUTIES, DiskPool

native_lock = get_original("_thread", "allocate_lock")
thread_id = get_original("_thread", "get_ident")


class DidNotCome(Exception):
    """What a test waits for."""


@pytest.fixture
def pool():
    pool = DiskPool()
    yield pool
    with gevent.Timeout(10, DidNotCome("the end of the pool")):
        pool.close()


def result_of(thread, job):
    result = AsyncResult()
    assert thread.submit(job, result.set)
    return result.get(timeout=10)


def test_a_job_runs_in_a_native_thread_and_its_result_comes_to_the_hub(pool):
    came_to = []
    result = AsyncResult()

    def done(value):
        came_to.append((thread_id(), gevent.getcurrent() is gevent.get_hub()))
        result.set(value)

    assert pool.writer.submit(thread_id, done)
    assert result.get(timeout=10) != thread_id()
    assert came_to == [(thread_id(), True)]


def test_each_duty_has_one_thread_of_its_own(pool):
    threads = [pool.writer, pool.reader, pool.syncer, pool.checker]
    assert [thread.duty for thread in threads] == list(DUTIES)
    ids = [{result_of(thread, thread_id) for _ in range(3)} for thread in threads]
    assert [len(each) for each in ids] == [1] * 4
    assert len(set.union(*ids)) == 4


def test_jobs_of_a_duty_are_done_and_delivered_in_order(pool):
    done, finished = [], Event()
    for number in range(1_000):
        assert pool.writer.submit(lambda number=number: number, lambda value: done.append(value) or (len(done) == 1_000 and finished.set()))
    assert finished.wait(10)
    assert done == list(range(1_000))


def test_an_exception_is_delivered_as_the_result(pool):
    assert isinstance(result_of(pool.writer, lambda: 1 / 0), ZeroDivisionError)
    assert isinstance(result_of(pool.writer, sys.exit), SystemExit)
    assert result_of(pool.writer, lambda: "alive") == "alive"


def test_a_done_that_fails_is_reported_and_the_others_go_on(pool, monkeypatch):
    reported, result = [], AsyncResult()
    monkeypatch.setattr(type(gevent.get_hub()), "handle_error", lambda _hub, context, kind, value, trace: reported.append(kind))
    pool.writer.submit(lambda: 1, lambda _: 1 / 0)
    pool.writer.submit(lambda: 2, result.set)
    assert result.get(timeout=10) == 2
    assert reported == [ZeroDivisionError]


def test_a_slow_duty_does_not_hold_up_the_others_nor_the_hub(pool):
    lock = native_lock()
    lock.acquire()
    waiting = AsyncResult()
    pool.writer.submit(lock.acquire, waiting.set)       # blocks the thread
    assert result_of(pool.reader, lambda: "read") == "read"
    ticks = []
    timer = gevent.get_hub().loop.timer(0.001, 0.001)
    timer.start(lambda: ticks.append(1))
    with gevent.Timeout(10, DidNotCome("ticks")):
        while len(ticks) < 5:
            gevent.sleep(0.001)
    timer.stop()
    timer.close()
    assert not waiting.ready()
    lock.release()
    assert waiting.get(timeout=10) is True


def test_when_too_much_waits_a_job_ends_with_an_error(pool, monkeypatch):
    monkeypatch.setattr(disk_pool, "MAX_WAITING_JOBS", 3)
    lock, done = native_lock(), []
    lock.acquire()
    for number in range(5):
        assert pool.writer.submit(lock.acquire if number == 0 else int, done.append)
    assert pool.writer.num_jobs == 5
    lock.release()
    with gevent.Timeout(10, DidNotCome("results")):
        while len(done) < 5:
            gevent.sleep(0.001)
    assert done[:3] == [True, 0, 0]
    assert [str(error) for error in done[3:]] == ["the disk does not keep up: 3 jobs wait for it"] * 2
    assert pool.writer.num_jobs == 0
    assert result_of(pool.writer, lambda: "again") == "again"


def test_closing_waits_for_all_jobs_and_takes_no_more():
    pool, done = DiskPool(), []
    for number in range(50):
        pool.writer.submit(lambda number=number: time.sleep(0) or number, done.append)
    assert pool.close(timeout=10)
    assert done == list(range(50))
    assert not pool.writer.submit(int, done.append)
    assert pool.close(timeout=10)                       # twice is as good as once


def test_closing_gives_up_after_its_time():
    pool, lock = DiskPool(), native_lock()
    lock.acquire()
    pool.writer.submit(lock.acquire, lambda _: None)
    assert not pool.close(timeout=0.01)
    lock.release()
    assert pool.close(timeout=10)


def test_a_done_may_submit_the_next_job(pool):
    numbers, finished = [], Event()

    def next_one(number):
        numbers.append(number)
        if number < 100:
            pool.writer.submit(lambda: number + 1, next_one)
        else:
            finished.set()

    pool.writer.submit(lambda: 0, next_one)
    assert finished.wait(10)
    assert numbers == list(range(101))


def test_a_buffer_is_not_kept_by_the_thread_after_its_job(pool):
    """It goes back to the pool of buffers, and may be filled again."""
    import weakref

    class Buffer(bytearray):
        __slots__ = ("__weakref__",)

    buffer = Buffer(10)
    seen = weakref.ref(buffer)
    result_of(pool.writer, lambda buffer=buffer: hashlib.sha1(buffer).digest())
    del buffer
    with gevent.Timeout(10, DidNotCome("the end of the buffer")):
        while seen() is not None:
            gevent.sleep(0.001)


IDLE_POOL = """
from gevent import monkey
monkey.patch_all()
import gevent
from daemon.disk_pool import DiskPool
pool = DiskPool()
done = []
pool.writer.submit(lambda: 1, done.append)
gevent.wait()
print(done)
"""


def test_an_idle_pool_keeps_neither_the_loop_nor_the_process_alive():
    ended = subprocess.run([sys.executable, "-c", IDLE_POOL], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[1]\n", "")
