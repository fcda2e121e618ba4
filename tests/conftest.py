"""Fixtures for all tests; they live in tests/support."""

<<<<<<< HEAD
pytest_plugins = ["support.engines", "support.cli", "support.relay", "support.smalldisk", "support.valkeys"]
=======
pytest_plugins = ["support.engines", "support.cli", "support.relay", "support.smalldisk", "support.incidents"]
>>>>>>> 8c4825b (Commands that change dead letters, tested on Valkey with a local store)
