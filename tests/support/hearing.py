"""What the product says while a test runs, heard where each sentence is made."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from dropsafe import config_rules, errors
from dropsafe.cli import trouble
from dropsafe.deploy import finding
from dropsafe.spool import attempt, export, health, importing, listing, reasons, receipt_import, steps, verify
from dropsafe.workers import outcome, secret, tls
from tests.support.messages import ERRORS, Sentence, normal, sentences

Texts = Callable[[Any], tuple[object, ...]]

SPEAKERS: dict[type, Texts] = {
    errors.DropsafeError: lambda it: (it.message,),
    argparse.ArgumentTypeError: lambda it: (it,),
    trouble.Trouble: lambda it: (it.message,),
    config_rules.Problem: lambda it: (it.message,),
    health.Problem: lambda it: (it.text, *it.detail.split("\n")),
    reasons.Reason: lambda it: (it.summary,),
    listing.Stranger: lambda it: (it.why,),
    attempt.Attempt: lambda it: (it.why,),
    steps.Step: lambda it: (it.why,),
    steps.Left: lambda it: (it.why,),
    verify.Difference: lambda it: (it.meaning,),
    export.NotExported: lambda it: (it.why,),
    importing.NotTaken: lambda it: (it.why,),
    receipt_import.Unmatched: lambda it: (it.why,),
    secret.SecretUnusable: lambda it: (it,),
    tls.TlsUnusable: lambda it: (it,),
    finding.Finding: lambda it: (it.text,),
    outcome.Deferred: lambda it: (it.why,),
    outcome.Unavailable: lambda it: (it.why,),
    outcome.Rejected: lambda it: (it.why,),
}
WITHIN_OTHER_WORDS = {"Difference", "line", "row", "Row", "_alarm", "_deferred", "Deferred", "_unusable", "TlsUnusable"}
"""Kinds of sentences that are never said alone: a status or a key stands before."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, and the class that said it."""

    speaker: type
    text: str


@contextmanager
def hearing() -> Iterator[set[Said]]:
    """All that this process says within the block."""
    said: set[Said] = set()
    with pytest.MonkeyPatch.context() as patch:
        for speaker, texts in SPEAKERS.items():
            patch.setattr(speaker, "__init__", _heard(speaker, texts, said))
        yield said


def _heard(speaker: type, texts: Texts, said: set[Said]) -> Callable[..., None]:
    init: Any = speaker.__dict__.get("__init__", speaker.__init__)  # type: ignore[misc]

    def listening(self: Any, *words: Any, **more: Any) -> None:
        init(self, *words, **more)
        said.update(Said(type(self), normal(str(text))) for text in texts(self))

    return listening


def is_said(sentence: Sentence, said: set[Said]) -> bool:
    """Whether it is among what was said, by the one who says it."""
    pattern = re.compile(".*".join(re.escape(part) for part in sentence.text.split("…")))
    match = pattern.search if sentence.kind in WITHIN_OTHER_WORDS else pattern.fullmatch
    return any(match(one.text) for one in said if _can_be(sentence, one.speaker))


def _can_be(sentence: Sentence, speaker: type) -> bool:
    if sentence.kind in ERRORS:
        return speaker is ERRORS[sentence.kind]
    if sentence.file == "config_rules.py":
        return speaker is config_rules.Problem
    return speaker is not config_rules.Problem and (sentence.kind == "_error_for" or speaker not in ERRORS.values())


def unsaid(wanted: tuple[str, ...], said: set[Said]) -> list[str]:
    """Those of the sentences (or beginnings of sentences) that are not among what was said."""
    return [text for text in wanted if not any(is_said(sentence, said) for sentence in named(text))]


def named(text: str) -> list[Sentence]:
    """The sentences of the code that the index means by that."""
    exact = [sentence for sentence in sentences() if sentence.text == text]
    return exact or [
        sentence for sentence in sentences() if text.endswith(" …") and sentence.text.startswith(text[:-2])
    ]
