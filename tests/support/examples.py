"""How properties are tried: no example has a deadline, since a busy machine is slow.

`pytest --hypothesis-profile thorough` tries many more of them.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("tests"), max_examples=1500)
settings.load_profile("tests")
