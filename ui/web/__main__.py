"""`python -m ui.web --fd N`: patches first, then serves the page and the API."""

import os
import sys

from gevent import monkey

monkey.patch_all()

from ui.web.process import main  # noqa: E402

status = main()
sys.stderr.flush()
os._exit(status)                                        # not waiting for a name look-up in a native thread
