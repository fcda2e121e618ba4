"""What everything that fills the screen has in common."""

from textual.css.query import NoMatches
from textual.message import Message
from textual.screen import Screen


class View(Screen[None]):
    """May be left at any moment, even before it is whole."""

    async def _dispatch_message(self, message: Message) -> None:
        """See MessagePump; what reaches a view that was left finds none of its widgets, and nothing is lost."""
        try:
            await super()._dispatch_message(message)
        except NoMatches:
            if self.app.is_running and self in self.app.screen_stack:
                raise
