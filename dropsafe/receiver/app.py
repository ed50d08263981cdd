"""The receiver's HTTP interface: how a report gets in, and the questions one may ask about what is stored.

    POST /ingest   PUT /ingest/NAME    a report; 201 with a receipt, 200 with the first one's for a repeat
    GET /reports/KEY   /reports/KEY/body   /set   /stats   /
    GET, POST, PATCH /faults           what is done wrong on purpose; POST replaces, PATCH changes, {} ends all

A report is acknowledged when it is durable, and not before. The same key is stored once, however often and however
simultaneously it comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from dropsafe.errors import NO_ROOM
from dropsafe.receiver import page
from dropsafe.receiver.bodies import Draft
from dropsafe.receiver.faults import Faults, FaultsRefused
from dropsafe.receiver.intake import Body, BodyCut, take_body
from dropsafe.receiver.labels import Labels, digest_header, key_of, read_labels
from dropsafe.receiver.problem import Problem
from dropsafe.receiver.reading import Reading
from dropsafe.receiver.records import Arrival, Kept, Report, Verdict
from dropsafe.receiver.store import Store, StoreFailed
from dropsafe.receiver.torment import cut, refusal, tormented

LINES_AT_ONCE = 5000

_log = logging.getLogger(__name__)


class App:
    """The handlers. `rejected` counts requests answered with 400 because of what they said or sent, since the start."""

    def __init__(self, store: Store, faults: Faults, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now
        self.faults = faults
        self.rejected = 0

    def make(self) -> web.Application:
        """The aiohttp application. No middleware: whatever stands there is paid for by every report."""
        application = web.Application()
        application.add_routes(
            [
                web.post("/ingest", self.ingest),
                web.put("/ingest/{name}", self.ingest),
                web.get("/reports/{key}", _guarded(self.show_report)),
                web.get("/reports/{key}/body", _guarded(self.show_body)),
                web.get("/set", self.stream_set),
                web.get("/stats", self.show_stats),
                web.get("/faults", self.show_faults),
                web.post("/faults", _guarded(self.change_faults)),
                web.patch("/faults", _guarded(self.change_faults)),
                web.get("/", self.show_page),
            ]
        )
        return application

    async def ingest(self, request: web.Request) -> web.Response:
        """Take one report, or do to it what was ordered."""
        try:
            labels = read_labels(request.headers, request.match_info.get("name", ""))
            if self.faults:
                return await tormented(request, labels, self.faults, self._now().timestamp(), self._take)
            return await self._take(request, labels)
        except Problem as problem:
            self.rejected += problem.status == 400
            return refusal(problem)
        except BodyCut:
            return cut(request)
        except (StoreFailed, OSError) as error:
            return refusal(_not_stored(error))

    async def _take(self, request: web.Request, labels: Labels, pace: float = 0) -> web.Response:
        """The body, checked and durable, and then the receipt; never the other way round."""
        body = await take_body(request, self._store.bodies, pace)
        return _acknowledgement(await self._keep(labels, body))

    async def show_report(self, request: web.Request) -> web.Response:
        """The receipt of one report, and what else is known of it."""
        report, _ = await self._find(request)
        return _json(report.to_dict(), {"Repr-Digest": digest_header(report.receipt.sha256)})

    async def show_body(self, request: web.Request) -> web.StreamResponse:
        """The bytes, as something to be saved: what a stranger sent must not run in this page's name."""
        report, body = await self._find(request)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(report.name or report.receipt.id, safe='')}",
            "Content-Security-Policy": "sandbox",
            "X-Content-Type-Options": "nosniff",
            "Repr-Digest": digest_header(report.receipt.sha256),
        }
        if isinstance(body, Path):
            return web.FileResponse(body, headers=headers)
        return web.Response(body=body, headers=headers)

    async def stream_set(self, request: web.Request) -> web.StreamResponse:
        """One line for each report, in the order of their arrival: KEY SHA256 SIZE."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        last = 0
        while True:
            last, lines = await self._store.read(partial(Reading.lines, after=last, limit=LINES_AT_ONCE))
            if not last:
                break
            await response.write(lines)
        await response.write_eof()
        return response

    async def show_stats(self, _: web.Request) -> web.Response:
        """Counts. Those of `rejected` and `faults` begin with this start of the server, the others never end."""
        return _json(asdict(self._store.totals) | {"rejected": self.rejected, "faults": self.faults.struck})

    async def show_faults(self, _: web.Request) -> web.Response:
        """What is in force."""
        return _json(self.faults.to_dict())

    async def change_faults(self, request: web.Request) -> web.Response:
        """POST: these and no others. PATCH: these too; null ends one."""
        body = await request.read()
        try:
            document = json.loads(body or b"{}")
            if request.method == "PATCH":
                self.faults.patch(document)
            else:
                self.faults.replace(document)
        except (ValueError, RecursionError) as error:
            raise Problem(400, "Not JSON", f"The faults are a JSON object: {error}. Nothing was changed.") from error
        except FaultsRefused as error:
            raise Problem(400, error.title, f"{error.message} Nothing was changed.") from error
        return _json(self.faults.to_dict())

    async def show_page(self, request: web.Request) -> web.Response:
        """What has arrived, for people."""
        reports = await self._store.read(lambda stored: stored.newest(page.ROWS))
        address = f"{request.scheme}://{request.host}"
        shown = page.render(reports, self._store.totals, self.faults.to_dict(), address, self._now())
        return web.Response(body=shown.encode(), headers=page.HEADERS)

    async def _find(self, request: web.Request) -> tuple[Report, bytes | Path]:
        key = request.match_info["key"]
        report, body = await self._store.read(lambda stored: (stored.find(key), stored.body(key)))
        if report is None or body is None:
            raise Problem(404, "No such report", f"No report with the key {key} has been stored here.")
        return report, body

    async def _keep(self, labels: Labels, body: Body) -> Kept:
        content = body.content
        try:
            if labels.sha256 and labels.sha256 != body.sha256:
                raise Problem(
                    400,
                    "Digest mismatch",
                    "The body has another SHA-256 than Content-Digest says. Nothing was stored.",
                    expected=labels.sha256,
                    received=body.sha256,
                    size=body.size,
                )
            arrival = Arrival(
                labels.key or key_of(body.sha256, labels.name),
                body.sha256,
                body.size,
                labels,
                _stamp(self._now()),
                await asyncio.to_thread(content.keep) if isinstance(content, Draft) else content,
            )
        except BaseException:
            if isinstance(content, Draft):
                content.discard()
            raise
        kept = await self._store.keep(arrival)
        if kept.verdict is Verdict.CONFLICT:
            raise Problem(
                422,
                "Key used for other bytes",
                f"A report with the key {arrival.key} and another digest is stored. This one was not.",
                key=arrival.key,
                stored_sha256=kept.receipt.sha256,
                received=body.sha256,
            )
        return kept


def _acknowledgement(kept: Kept) -> web.Response:
    receipt = kept.receipt
    headers = {
        "Content-Type": "application/json",
        "Location": f"/reports/{quote(receipt.key, safe='')}",
        "Repr-Digest": digest_header(receipt.sha256),
    }
    is_repeat = kept.verdict is Verdict.REPEAT
    if is_repeat:
        headers["Dropsafe-Repeat"] = "true"
    return web.Response(
        status=200 if is_repeat else 201, body=(json.dumps(asdict(receipt)) + "\n").encode(), headers=headers
    )


def _not_stored(error: StoreFailed | OSError) -> Problem:
    is_full = error.is_full if isinstance(error, StoreFailed) else error.errno in NO_ROOM
    if is_full:
        return Problem(507, "Disk full", "The server's disk is full. Nothing was stored; send it again later.")
    _log.error("a report could not be stored", exc_info=error)
    return Problem(500, "Not stored", "The server could not write it down. Nothing was stored; send it again later.")


def _guarded(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler, with its Problem as the answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return refusal(problem)

    return answer


def _json(content: Any, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return web.Response(body=text.encode(), headers={"Content-Type": "application/json", **(headers or {})})


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
