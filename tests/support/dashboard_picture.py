"""The picture of the docs: `PYTHONPATH=tests python -m support.dashboard_picture > docs/dashboard.svg`."""

import asyncio
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime

from support.dashboard_sources import Known
from support.dashboards import INCIDENT, Scripted, dashboard

_ELSEWHERE = re.compile(r"@font-face\s*\{[^}]*\}|<!--.*?-->")
"""Fonts would be fetched from another host, and comments name one."""


def picture() -> str:
    """Home in an incident, as SVG."""
    return asyncio.run(_drawn())


async def _drawn() -> str:
    feed = Scripted()
    app = dashboard(feed, Known())
    async with app.run_test(size=(100, 26)) as pilot:
        feed.say(replace(INCIDENT, at=datetime.now(UTC)))
        await pilot.pause()
        await pilot.pause()
        return _ELSEWHERE.sub("", app.export_screenshot(title="ticketops tui"))


if __name__ == "__main__":
    sys.stdout.write(picture())
