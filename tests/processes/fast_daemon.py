"""The I/O daemon whose clock shows a minute for each second: what takes minutes is over in seconds. Nothing of it is changed.

    python -m tests.processes.fast_daemon --fd N
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import time  # noqa: E402

SPEED = 60
true_clock = time.monotonic

if __name__ == "__main__":
    time.monotonic = lambda: SPEED * true_clock()

    from daemon.process import main

    os._exit(main())
