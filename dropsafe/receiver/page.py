"""The one page for people: what has arrived lately, and how much there is.

A pure function from a view to HTML. Everything that a sender had a say in is escaped, kept on one line and isolated
from the direction of the text around it. Nothing is loaded from anywhere, and no script runs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import quote

from dropsafe.receiver.records import Report, Totals

ROWS = 50
REFRESH_SECONDS = 5

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 32px 24px; max-width: 1040px; font: 14px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; }
h1, dd { margin: 0; font-size: 20px; font-weight: 600; }
.quiet, th { color: color-mix(in srgb, CanvasText 65%, Canvas); }
a { text-decoration: none; }
dl { display: flex; flex-wrap: wrap; gap: 8px 40px; margin: 24px 0; }
.faults { margin: 24px 0; padding: 8px 16px; background: Mark; color: MarkText; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 4px 8px; text-align: left; white-space: nowrap; }
td { border-top: 1px solid color-mix(in srgb, CanvasText 12%, Canvas); }
.name, .key { max-width: 300px; overflow: hidden; text-overflow: ellipsis; }
.number { text-align: right; }
"""


def render(reports: Sequence[Report], totals: Totals, faults: Mapping[str, Any], address: str, now: datetime) -> str:
    """The page. `address` is how the browser reached the server."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>Dropsafe receiver</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Dropsafe receiver</h1>
<div class="quiet">What has been stored here, newest first. Looks again every {REFRESH_SECONDS} seconds.</div>
{_totals(totals)}
{_faults(faults)}
{_table(reports, totals, now) if reports else _empty(address)}
<footer class="quiet"><a href="/set">keys and digests</a> ·
<a href="/stats">counts</a> · <a href="/faults">faults</a></footer>
</body>
</html>
"""


def human_size(size: int) -> str:
    """In the units of file managers: 4.1 KB."""
    if size < 1000:
        return f"{size} B"
    number = float(size)
    for unit in ("KB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:,.1f} TB"


def ago(then: datetime, now: datetime) -> str:
    """How long ago, roughly."""
    seconds = max(timedelta(0), now - then) // timedelta(seconds=1)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:,} {unit} ago"
    return f"{seconds} s ago"


def _totals(totals: Totals) -> str:
    shown = [
        ("reports", f"{totals.stored:,}"),
        ("stored", human_size(totals.bytes)),
        ("repeats recognised", f"{totals.repeats:,}"),
        ("conflicts refused", f"{totals.conflicts:,}"),
    ]
    return (
        "<dl>" + "".join(f'<div><dt class="quiet">{name}</dt><dd>{value}</dd></div>' for name, value in shown) + "</dl>"
    )


def _faults(faults: Mapping[str, Any]) -> str:
    words = [_text(_fault_words(name, rule)) for name, rule in faults.items() if isinstance(rule, Mapping)]
    return f'<p class="faults">▲ Faults are on: {" · ".join(words)}</p>' if words else ""


def _fault_words(name: str, rule: Mapping[str, Any]) -> str:
    members = ", ".join(f"{member.replace('_', ' ')} {value}" for member, value in rule.items())
    return name.replace("_", " ") + (f" ({members})" if members else "")


def _empty(address: str) -> str:
    command = f"curl -T report.xml {address}/ingest/"
    return f"<p>Nothing has arrived yet. A report comes here like this:</p><p><code>{_text(command)}</code></p>"


def _table(reports: Sequence[Report], totals: Totals, now: datetime) -> str:
    rows = "\n".join(_row(report, now) for report in reports)
    more = totals.stored - len(reports)
    rest = f'<p class="quiet">and {more:,} earlier</p>' if more > 0 else ""
    return f"""<div class="scroll"><table>
<thead><tr><th>name</th><th class="number">size</th><th>station</th><th>received</th><th class="number">repeats</th>
<th>key</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>{rest}"""


def _row(report: Report, now: datetime) -> str:
    receipt = report.receipt
    link = escape(f"/reports/{quote(receipt.key, safe='')}")
    name = _text(report.name) or '<span class="quiet">without a name</span>'
    station = _text(report.station) or "–"
    repeats = f"{report.repeats:,}" if report.repeats else "–"
    return (
        f'<tr><td class="name" title="{_text(report.name)}"><a href="{link}/body"><bdi>{name}</bdi></a></td>'
        f'<td class="number" title="{receipt.size:,} bytes">{human_size(receipt.size)}</td>'
        f"<td><bdi>{station}</bdi></td>"
        f'<td title="{_text(receipt.received_at)}">{ago(datetime.fromisoformat(receipt.received_at), now)}</td>'
        f'<td class="number">{repeats}</td>'
        f'<td class="key" title="{_text(receipt.key)}"><a href="{link}"><code>{_text(receipt.key)}</code></a></td></tr>'
    )


def _text(text: str) -> str:
    """Escaped, with a visible mark for characters that cannot be seen or that turn the text around."""
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cf") else char for char in text
    )
    return escape(shown)
