"""Keys one after the other, however fast they come: what a key opens gets the next one.

Textual gives a key to whatever has the focus when it arrives, while a screen that the key before opened is still being
mounted. Over a slow line keys come in bursts, and `:dlq` would be a `:` and three keys of the screen below it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Event
    from textual.message_pump import MessagePump

_PATIENCE: Final = 1.0
"""Seconds that a key waits for what the one before it does."""
_STILL: Final = 3
"""Looks that must find the same: a key submits a line, which closes a screen, which opens another."""


class Typeahead:
    """What was typed and has not been given to anybody yet."""

    def __init__(self, app: App[Any], give: Callable[[Event], Awaitable[None]]) -> None:
        """`give` hands an event to what has the focus now."""
        self._app = app
        self._give = give
        self._waiting: deque[Event] = deque()
        self._giving: asyncio.Task[None] | None = None

    async def typed(self, event: Event) -> None:
        """Give it at once, or after those that came before it."""
        self._waiting.append(event)
        if self._giving is None:
            await self._give(self._waiting.popleft())
            self._giving = asyncio.create_task(self._rest())

    async def _rest(self) -> None:
        """Given by the app's own hand: what fails there is told as everywhere."""
        try:
            await self._settled()
            while self._waiting:
                self._app.call_later(self._give, self._waiting.popleft())
                await _through(self._app)
                await self._settled()
        finally:
            self._giving = None

    async def _settled(self) -> None:
        """Wait until the last one has done all it does to the screens and the focus."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                still, before = 0, None
                while still < _STILL:
                    await self._passed()
                    seen = self._seen()
                    still, before = (still + 1 if seen == before else 0), seen

    def _seen(self) -> tuple[object, ...]:
        screens = self._app.screen_stack
        return (*screens, self._app.focused, bool(screens) and screens[-1].is_mounted)

    async def _passed(self) -> None:
        """Go the way of a key: from the focus up to the app."""
        screens = self._app.screen_stack
        start = self._app.focused or (screens[-1] if screens else self._app)
        for pump in start.ancestors_with_self:
            await _through(pump)


async def _through(pump: MessagePump) -> None:
    """Wait until it is done with all that it was given before; one that is being closed is."""
    done = asyncio.Event()
    if pump.call_later(done.set):
        await done.wait()
