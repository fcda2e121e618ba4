"""How far a first download is, as a bar."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from ticketops.embedded.jars import Download, Progress


def show_download(bar: "Bar") -> "Progress":
    """What shows the download in `bar`, once it has begun, and takes it out at its end."""
    task = bar.add_task("downloading Kafka, once", total=None, visible=False)

    def show(done: "Download") -> None:
        bar.update(task, completed=done.done, total=done.total, visible=done.done < done.total)

    return show
