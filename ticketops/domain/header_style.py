"""What a configuration may say of the headers that we write."""

from enum import StrEnum


class HeaderStyle(StrEnum):
    """Whose names our own dead letters carry."""

    SPRING = "spring"
    CONNECT = "connect"
