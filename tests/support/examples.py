"""How properties are tried: no example has a deadline, since a busy machine is slow.

The same examples each time, so that a change alone makes a test fail. `make thorough` looks for new ones, and many more
of them (`pytest --hypothesis-profile thorough`), and keeps what it finds in .hypothesis.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "thorough",
    settings.get_profile("tests"),
    derandomize=False,
    database=settings.get_profile("default").database,
    max_examples=1500,
)
settings.load_profile("tests")
