"""Secrets taken out of texts: URLs, connection strings, query strings, Kafka properties, by pattern and by value.

Where a pattern cannot tell the end of a secret it hides too much rather than too little.
"""

import re
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Characters; a shorter secret is found by pattern only, since its letters stand in too many words."""

_NAME: Final = (
    r"(?:[\w.\-]*(?:password|passwd|passphrase|passcode|secret|token|credential|api[_.\-]?key|access[_.\-]?key"
    r"|private[_.\-]?key|userinfo)[\w.\-]*|pwd|ssl\.key\.pem|sslkey\.pem|authorization)"
)
_PLACE: Final = re.compile(r"(?:[_.\-](?:file|path|location|url|uri|name|type|id)|_?timeout|seconds)$", re.IGNORECASE)
_SECRET_NAME: Final = re.compile(_NAME, re.IGNORECASE)
_PATTERN: Final = re.compile(
    r"(?P<url>(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]{1,30}://[^\s\"'<>]+)"
    r"|(?P<jaas>sasl\.jaas\.config(?:\\?[\"'])?\s*[=:]\s*)[^\n]+"
    rf"|(?P<name>\b{_NAME})(?P<sign>(?:\\?[\"'])?\s*[=:]\s*(?:(?:Bearer|Basic)\s+)?)"
    r"(?P<value>\\\"(?:[^\"\\]|\\[^\"])*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s\"']+)",
    re.IGNORECASE,
)
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_PORTS: Final = re.compile(r"(?:\[[^\]]*\]|[^:,]*)(?::\d*)?(?:,(?:\[[^\]]*\]|[^:,]*)(?::\d*)?)*")
_QUERY_SECRET: Final = re.compile(rf"(?P<head>[?&;](?P<name>{_NAME})=)(?P<value>[^&#]*)", re.IGNORECASE)


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without passwords: those that `secrets` names, and those that look like one."""
    return _PATTERN.sub(_hide, _without_values(text, secrets))


def redact_value(key: str, value: object) -> object:
    """A configuration value as it may be shown; `key` is its dotted name."""
    match value:
        case Mapping():
            return {name: redact_value(str(name), item) for name, item in value.items()}
        case str() if value and is_secret_name(key):
            return HIDDEN
        case str():
            return redact(value)
        case _:
            return value


def is_secret_name(name: str) -> bool:
    """True for names of values that are secret as a whole, such as `sasl.password`; not for `password_file`."""
    return "jaas" in name.lower() or bool(_SECRET_NAME.search(name) and not _PLACE.search(name))


def passwords_in(text: str) -> frozenset[str]:
    """The secrets that a URL, a connection string or a set of properties holds, in every spelling."""
    found: set[str] = set()
    for match in _PATTERN.finditer(text):
        found |= _url_passwords(match["url"]) if match["url"] else {_bare(match["value"] or match[0])}
    return spellings(found)


def spellings(secrets: Collection[str]) -> frozenset[str]:
    """Every form in which the secrets may turn up in a text; those too short to look for are left out."""
    forms: tuple[Callable[[str], str], ...] = (str, quote, quote_plus, unquote, unquote_plus, _fully_quoted, _escaped)
    return frozenset(form(secret) for secret in secrets for form in forms if len(form(secret)) >= SHORTEST)


def redacting_processor(
    secrets: Collection[str] = (),
) -> Callable[[object, str, MutableMapping[str, object]], MutableMapping[str, object]]:
    """A structlog processor that redacts every text of an event, nested ones too.

    It stands after `format_exc_info`, since it cannot look into a traceback that is not text yet.
    """

    def processor(_logger: object, _name: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        for key in event.keys() - {"exc_info"}:
            event[key] = _redact_deep(key, event[key], secrets)
        return event

    return processor


def _redact_deep(key: str, value: object, secrets: Collection[str]) -> object:
    match value:
        case str():
            return HIDDEN if value and is_secret_name(key) else redact(value, secrets)
        case Mapping():
            return {name: _redact_deep(str(name), item, secrets) for name, item in value.items()}
        case list() | tuple():
            items = [_redact_deep(key, item, secrets) for item in value]
            return items if isinstance(value, list) else tuple(items)
        case BaseException():
            return redact(f"{type(value).__name__}: {value}", secrets)
        case _:
            return value


def _without_values(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _hide(match: re.Match[str]) -> str:
    if match["url"]:
        return _hide_in_url(match["url"])
    if match["jaas"]:
        return match["jaas"] + HIDDEN
    if _PLACE.search(match["name"]):
        return match[0]
    quotation = re.match(r"\\?[\"']", match["value"])
    mark = quotation[0] if quotation else ""
    return f"{match['name']}{match['sign']}{mark}{HIDDEN}{mark}"


def _hide_in_url(url: str) -> str:
    start, end = _password_span(url)
    if start < end:
        url = url[:start] + HIDDEN + url[end:]
    return _QUERY_SECRET.sub(_hide_in_query, url)


def _hide_in_query(match: re.Match[str]) -> str:
    return match[0] if _PLACE.search(match["name"]) else match["head"] + HIDDEN


def _password_span(url: str) -> tuple[int, int]:
    """Where the password of a URL stands, also of one that is not quoted as it should be."""
    begin = url.index("://") + 3
    authority = _AUTHORITY.match(url, begin)
    stop = authority.end() if authority else len(url)
    at = url.rfind("@", begin, _last_place_of_at(url, begin, stop))
    colon = url.find(":", begin, max(at, begin))
    return (colon + 1, at) if colon >= 0 else (0, 0)


def _last_place_of_at(url: str, begin: int, stop: int) -> int:
    """Before the first `=` of the query, whose values may hold an @; anywhere where no host can stand before it."""
    if "@" not in url[begin:stop] and not _PORTS.fullmatch(url, begin, stop):
        return len(url)
    path, sign, query = url[stop:].partition("?")
    return stop + len(path) + len(sign) + len(query.partition("=")[0])


def _url_passwords(url: str) -> set[str]:
    start, end = _password_span(url)
    found = {url[start:end]} if start < end else set()
    return found | {match["value"] for match in _QUERY_SECRET.finditer(url) if not _PLACE.search(match["name"])}


def _bare(value: str) -> str:
    stripped = value.removeprefix("\\").strip("\"'").removesuffix("\\")
    return re.sub(r"\\(.)", r"\1", stripped)


def _fully_quoted(secret: str) -> str:
    return quote(secret, safe="")


def _escaped(secret: str) -> str:
    """As a connection string, a repr or JSON writes it."""
    return secret.replace("\\", "\\\\").replace("'", "\\'")
