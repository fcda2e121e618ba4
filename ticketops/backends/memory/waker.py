"""Waking by commits in memory."""

import threading

from ticketops.backends.memory.store import MemoryStore


class MemoryWaker:
    """Implements ports.Waker."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._woken = threading.Event()
        store.wakes.append(self._woken.set)

    def wait(self, timeout: float) -> bool:
        """See ports.Waker."""
        woken = self._woken.wait(timeout)
        self._woken.clear()
        return woken

    def close(self) -> None:
        """See ports.Waker."""
        if self._woken.set in self._store.wakes:
            self._store.wakes.remove(self._woken.set)
