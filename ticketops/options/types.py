"""Types of values with their bounds."""

from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Percentage = Annotated[int, Meta(ge=0, le=100)]
