"""`python -m daemon --fd N`: patches first, then serves."""

import os
import sys

from gevent import monkey

monkey.patch_all()

from daemon.process import main  # noqa: E402

status = main()
sys.stderr.flush()
os._exit(status)                                        # not waiting for native threads: a disk may hang, and the engine is gone
