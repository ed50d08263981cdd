"""Writes the parts of pages that are made: `python3 dev.py docs`. The tests beside each compare them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.chaos import network_words
from tests.contract.test_check_server import requirement_rows
from tests.contract.test_receiver_outcomes import fault_rows
from tests.contract.test_server_page import status_rows
from tests.support.page import DOCS
from tests.support.window_page import reason_rows

PARTS = {
    "server-contract.md": {"requirements": requirement_rows, "statuses": status_rows, "faults": fault_rows},
    "destination.md": {"network": network_words.fault_rows, "remedies": network_words.remedy_rows},
    "window.md": {"reasons": reason_rows},
}


def main() -> None:
    for page, parts in PARTS.items():
        write(page, parts)


def write(page: str, parts: Mapping[str, Callable[[], list[str]]]) -> None:
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    for name, rows in parts.items():
        part = re.compile(rf"(<!-- {name}: [^\n]*\n[^\n]*\n[^\n]*\n).*?(<!-- end -->)", re.DOTALL)
        text = part.sub(lambda found, rows=rows: found[1] + "\n".join(rows()) + "\n" + found[2], text)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
