"""How long tests that draw their examples search, wherever they stand.

Without a word from outside they look at the same examples every time, so that a build that turns red was broken by the change in it, and
whoever reads of it sees the same failure. New cases are searched for by hand, or by night: `PROPERTY_EXAMPLES=20` looks at twenty times as
many, and at others each time.
"""

import os

from hypothesis import HealthCheck, settings

_TIMES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))

settings.register_profile(
    "gatewright",
    max_examples=300 * max(_TIMES, 1),
    derandomize=not _TIMES,
    database=None,  # a failure is kept as a test of its own
    deadline=None,  # the machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    print_blob=bool(_TIMES),
)
settings.load_profile("gatewright")
