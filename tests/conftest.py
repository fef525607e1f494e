"""For all tests: gevent's patches before anything else is imported, as in every process of the product."""

from gevent import monkey

monkey.patch_all()

from hypothesis import settings  # noqa: E402

# Machines that run tests are slow at times: how long an example takes is no requirement.
settings.register_profile("evenswarm", deadline=None, print_blob=True)
settings.load_profile("evenswarm")
