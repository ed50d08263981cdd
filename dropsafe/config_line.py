"""What is told of a line of the configuration file that is no TOML: what is wrong, and as much of it as may be shown.

It may hold a secret. Shown is what is known to be harmless: a whole line of a key that holds none, else its key, else
nothing. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from dropsafe.config_keys import keys, nearest, sections, watch_fields

_SECTION = re.compile(r"\[{1,2}\s*([\w.-]+)\s*\]{0,2}")
_KEY = re.compile(r"([A-Za-z0-9_.-]{1,60})\s*(=?)(.*)")
_DOUBTFUL = re.compile(r"[=@?]|//")
"""In a value: credentials in an address, or a second key behind the first."""
_LONGEST = 80
_BACKSLASH = "a backslash is written twice in double quotes, or once in single ones"
_OPEN = "quotes are opened and not closed (a backslash before the last one hides it)"
_MEANT = {
    "Invalid value": "Invalid value (text stands in quotes; true and false are written small)",
    "Illegal character '\\n'": _OPEN,
    "Unterminated string": _OPEN,
    'Expected "\'"': "a single quote is opened, in this line or further up, and not closed",
    "Unescaped '\\' in a string": _BACKSLASH,
    "Invalid hex value": _BACKSLASH,  # "C:\users"
    "Cannot overwrite a value": "this is set twice in the file; keep one of the two",
    "Cannot declare twice": "this section begins twice in the file; put what belongs to it under one heading",
    "Expected '=' after a key in a key/value pair": "between a key and its value stands =, and a key has no spaces",
    "Expected newline or end of document after a statement": "too much in this line (text in quotes, numbers without unit)",
}


def meant(why: str) -> str:
    """The parser's words as those of whoever wrote the line; as they are where nobody has met them yet."""
    return _MEANT.get(re.sub(r" \(.*\) twice$", " twice", why), why)


def shown(line: str) -> str:
    """The line, or as much of it as cannot be a secret, in words that say so."""
    text = line.partition("#")[0].strip()
    section = _SECTION.fullmatch(text)
    if section and section[1] in {*sections(), "watch"}:
        return f"`{text}`"
    found = _KEY.match(text)
    name = found[1] if found else ""
    known = _schemas(name)
    if found is None or not (known or nearest(name)):
        return "(the line is not shown, for it may hold a secret)"
    is_plain = known and found[2] and not any("x-hidden" in schema for schema in known)
    if is_plain and not _DOUBTFUL.search(found[3]) and len(text) <= _LONGEST:
        return f"`{text}`"
    return f"`{name}{' =' if found[2] else ''} …` (the rest is not shown, for it may hold a secret)"


def _schemas(name: str) -> list[dict[str, Any]]:
    """Of every key that may be meant: the section is not known in a file that cannot be parsed."""
    found = [key.schema for key in keys().values() if name in (key.name, key.name.rpartition(".")[2])]
    return found + [schema for field, schema in watch_fields().items() if field == name]
