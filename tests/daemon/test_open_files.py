"""OpenFiles: a bounded number of descriptors, none closed while somebody uses it."""

import errno
import os
import random
import resource
from contextlib import ExitStack

import pytest

from daemon.open_files import SHARE_OF_LIMIT, OpenFiles


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / str(number) for number in range(20)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


class Opener:
    """Opens one of the files, and counts."""

    def __init__(self, paths):
        self.paths, self.opened = paths, []

    def __call__(self, number):
        def open_file():
            self.opened.append(number)
            return os.open(self.paths[number], os.O_RDONLY)
        return open_file


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_file_is_opened_once(paths):
    files, opener = OpenFiles(4), Opener(paths)
    for _ in range(3):
        with files.borrow("torrent", 7, opener(7)) as fd:
            assert os.pread(fd, 10, 0) == b"7"
    assert opener.opened == [7]


def test_the_least_recently_used_file_is_closed(paths):
    files, opener, fds = OpenFiles(3), Opener(paths), {}
    for number in (0, 1, 2, 0, 3):
        with files.borrow("torrent", number, opener(number)) as fds[number]:
            pass
    assert [is_open(fds[number]) for number in (0, 2, 3)] == [True, True, True]
    assert files.num_open == 3 and not files.is_open("torrent", 1)


def test_a_file_in_use_is_not_closed_though_there_are_too_many(paths):
    files, opener = OpenFiles(2), Opener(paths)
    with ExitStack() as stack:
        fds = [stack.enter_context(files.borrow("torrent", number, opener(number))) for number in range(10)]
        assert [os.pread(fd, 10, 0) for fd in fds] == [str(number).encode() for number in range(10)]
    with files.borrow("torrent", 11, opener(11)):
        pass
    assert files.num_open == 2


def test_files_of_an_owner_are_closed_with_it_those_in_use_when_they_are_put_back(paths):
    files, opener = OpenFiles(10), Opener(paths)
    with files.borrow("a", 1, opener(1)) as idle:
        pass
    with files.borrow("b", 1, opener(1)) as other, files.borrow("a", 2, opener(2)) as used:
        files.close_all_of("a")
        assert not is_open(idle) and is_open(used)
        with files.borrow("a", 2, opener(2)) as again:  # opened anew
            assert again != used
    assert not is_open(used) and is_open(other)


def test_a_file_of_an_owner_that_is_gone_is_closed_by_its_last_user(paths):
    files, opener = OpenFiles(10), Opener(paths)
    with files.borrow("a", 1, opener(1)) as fd:
        with files.borrow("a", 1, opener(1)):
            files.close_all_of("a")
        assert is_open(fd)
    assert not is_open(fd)


def test_a_failure_to_open_is_the_callers_and_leaves_nothing(tmp_path):
    files = OpenFiles(2)
    with pytest.raises(FileNotFoundError), files.borrow("a", 1, lambda: os.open(tmp_path / "missing", os.O_RDONLY)):
        pass
    assert files.num_open == 0


def test_out_of_descriptors_others_are_closed_to_open_one(paths):
    files, opener = OpenFiles(10), Opener(paths)
    for number in range(3):
        with files.borrow("a", number, opener(number)):
            pass

    def open_the_last_one():
        if files.num_open:
            raise OSError(errno.EMFILE, "too many")
        return opener(3)()

    with files.borrow("a", 3, open_the_last_one) as fd:
        assert os.pread(fd, 10, 0) == b"3"


def test_the_files_take_a_small_part_of_what_the_process_may_open():
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert OpenFiles(10 ** 9).most_open == soft_limit // SHARE_OF_LIMIT
    assert OpenFiles(5).most_open == 5


def test_threads_that_use_the_same_few_files_never_read_another_one(paths):
    """Native threads, as in the disk pool."""
    from gevent.threadpool import ThreadPool

    files, opener = OpenFiles(3), Opener(paths)

    def read(seed):
        rng = random.Random(seed)
        for _ in range(2_000):
            number = rng.randrange(len(paths))
            with files.borrow("torrent", number, opener(number)) as fd:
                if os.pread(fd, 10, 0) != str(number).encode():
                    return False
        return True

    pool = ThreadPool(4)
    assert all(job.get(timeout=60) for job in [pool.spawn(read, seed) for seed in range(4)])
    assert files.num_open <= 3 + 4
    pool.kill()
