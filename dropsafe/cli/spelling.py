"""Commands that a text names, spelled so that they mean the spool that this command was called for.

The texts come from everywhere, reason files and the service included, and say `dropsafe retry ID`. Typed like that by
somebody who works with `--instance line-3`, they would act on another spool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TextIO, cast

from dropsafe.cli.words import quoted


def spelled(stream: TextIO, commands: Iterable[str], options: dict[str, str | None]) -> TextIO:
    """`stream`, on which each `dropsafe COMMAND` is written with those of the options that are set."""
    words = " ".join(f"{option} {quoted(value)}" for option, value in options.items() if value)
    return cast(TextIO, _Spelled(stream, commands, options, words)) if words else stream


class _Spelled:
    def __init__(self, stream: TextIO, commands: Iterable[str], options: Iterable[str], words: str) -> None:
        self._stream = stream
        # Not after a letter, a slash or a dot (paths, module names); not `dropsafe list:`, with which errors begin; not
        # where the text itself says which spool.
        named, told = "|".join(commands), "|".join(options)
        self._named = re.compile(rf"(?<![\w/.-])dropsafe (?=(?:{named})\b(?!:))(?!.*(?:{told}) )")
        self._words = f"dropsafe {words} ".replace("\\", r"\\")

    def write(self, text: str) -> int:
        return self._stream.write(self._named.sub(self._words, text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
