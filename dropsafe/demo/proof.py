"""The proof at the end of the demonstration: what was put in, what the receipts say, and what the server has."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import urllib3

from dropsafe.plural import several
from dropsafe.spool import Receipt, Spool
from dropsafe.spool.audit import AuditFigures
from dropsafe.spool.moves import digest_of
from dropsafe.spool.receipts import read_receipts, receipt_files

BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Proof:
    """The figures compared, and every difference in words; all is well exactly when there is none."""

    figures: AuditFigures
    receipts: int
    stored: int
    repeats: int
    compared_bytes: int
    differences: list[str]


def prove(spool: Spool, server: str, repeats: int, originals: Iterable[str], stored: dict[str, str]) -> Proof:
    """Compare byte for byte.

    `originals` are the SHA-256 of the files that were dropped; `stored` maps the server's keys to their SHA-256.
    """
    figures = spool.audit()
    receipts = {receipt.id: receipt for path in receipt_files(spool.core.layout) for receipt in read_receipts(path)}
    compared = 0
    differences = list(_of_sets(Counter(originals), receipts, stored))
    for entry in spool.entries("sent"):
        kept, served = digest_of(entry.path), _digest_at(f"{server}/reports/{entry.id}/body")
        compared += entry.size
        if kept != served:
            differences.append(f"{entry.id}: the server's bytes are not those in sent/")
    if figures.waiting or figures.unexplained:
        differences.append(f"entries that still wait: {figures.waiting}, unexplained: {figures.unexplained}")
    return Proof(figures, len(receipts), len(stored), repeats, compared, differences)


def _of_sets(originals: Counter[str], receipts: dict[str, Receipt], stored: dict[str, str]) -> Iterator[str]:
    delivered = Counter(receipt.sha256 for receipt in receipts.values())
    for digest, count in (originals - delivered).items():
        yield f"{several(count, 'dropped file', 'dropped files')} without a receipt: SHA-256 {digest}"
    for digest, count in (delivered - originals).items():
        yield f"{several(count, 'receipt', 'receipts')} for SHA-256 {digest}, which was not dropped that often"
    for entry_id, receipt in receipts.items():
        if stored.get(entry_id) != receipt.sha256:
            yield f"{entry_id}: its receipt says {receipt.sha256}, the server has {stored.get(entry_id, 'nothing')}"
    for key in stored.keys() - receipts.keys():
        yield f"{key}: the server has it, and there is no receipt"


def _digest_at(address: str) -> str:
    digest = hashlib.sha256()
    answer = urllib3.request("GET", address, preload_content=False, timeout=30.0)
    for block in answer.stream(BLOCK):
        digest.update(block)
    answer.release_conn()
    return digest.hexdigest()
