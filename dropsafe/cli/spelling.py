"""Commands that a text names, spelled so that they mean the spool that this command was called for.

The texts come from everywhere, reason files and the service included, and say `dropsafe retry ID`. Typed like that by
somebody who works with `--instance line-3`, they would act on another spool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO, cast

from dropsafe.cli.words import quoted


def speller(commands: Iterable[str], options: Mapping[str, str | None]) -> Callable[[str], str]:
    """Writes each `dropsafe COMMAND` of a text with those of the options that are set."""
    words = " ".join(f"{option} {quoted(value)}" for option, value in options.items() if value)
    # Not after a letter, a slash or a dot (paths, module names); not `dropsafe list:`, with which errors begin; not
    # where the text itself says which spool.
    named, told = "|".join(commands), "|".join(options)
    pattern = re.compile(rf"(?<![\w/.-])dropsafe (?=(?:{named})\b(?!:))(?!.*(?:{told}) )")
    with_options = f"dropsafe {words} ".replace("\\", r"\\")
    return lambda text: pattern.sub(with_options, text) if words else text


def spelled(stream: TextIO, spell: Callable[[str], str]) -> TextIO:
    """`stream`, on which all is written as `spell` has it."""
    return cast(TextIO, _Spelled(stream, spell))


class _Spelled:
    def __init__(self, stream: TextIO, spell: Callable[[str], str]) -> None:
        self._stream = stream
        self._spell = spell

    def write(self, text: str) -> int:
        return self._stream.write(self._spell(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
