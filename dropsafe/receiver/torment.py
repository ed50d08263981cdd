"""The receiver as a tormentor: carries out the faults on order, around an honest way of taking a report.

Nothing here is a pattern for anybody's server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from hashlib import sha256

from aiohttp import web

from dropsafe.receiver.faults import Fault, Faults
from dropsafe.receiver.intake import take_half
from dropsafe.receiver.labels import Labels, digest_header
from dropsafe.receiver.problem import CONTENT_TYPE, Problem

LOG_IN_PAGE = b"<!doctype html><title>Welcome to the guest network</title><p>Please log in.</p>\n"

Take = Callable[[web.Request, Labels, float], Awaitable[web.Response]]
"""Takes one report, reading its body at so many bytes a second (0: as fast as it comes)."""


async def tormented(request: web.Request, labels: Labels, faults: Faults, now: float, take: Take) -> web.Response:
    """What `take` answers, or what a fault makes of it. `now` is the time of day."""
    strikes = partial(faults.strikes, key=labels.key, name=labels.name)
    if rule := strikes(Fault.LATENCY):
        await asyncio.sleep(rule["seconds"])
    if strikes(Fault.CUT_BEFORE) is not None:
        return cut(request)
    if rule := strikes(Fault.ERROR):
        answer = refusal(Problem(rule["status"], "A fault on order", rule.get("detail", "Nothing was stored.")))
        if "retry_after" in rule:
            answer.headers["Retry-After"] = str(rule["retry_after"])
        if "retry_at" in rule:
            answer.headers["Retry-After"] = formatdate(now + rule["retry_at"], usegmt=True)
        return answer
    if strikes(Fault.HTML) is not None:
        return web.Response(body=LOG_IN_PAGE, headers={"Content-Type": "text/html; charset=utf-8"})
    if strikes(Fault.CUT_DURING) is not None:
        await take_half(request)
        return cut(request)
    slow = strikes(Fault.SLOW)
    answer = await take(request, labels, slow["bytes_per_second"] if slow else 0)
    if answer.status >= 300:
        return answer
    if strikes(Fault.CUT_AFTER) is not None:
        return cut(request)
    if rule := strikes(Fault.HALF_ANSWER):
        return _half(request, answer, rule["part"])
    if strikes(Fault.WRONG_DIGEST) is not None:
        return _wrong(answer)
    return answer


def refusal(problem: Problem) -> web.Response:
    """A Problem as the answer that it is."""
    return web.Response(status=problem.status, body=problem.body(), headers={"Content-Type": CONTENT_TYPE})


def cut(request: web.Request) -> web.Response:
    """End the connection without another byte. The answer is for aiohttp, it reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _half(request: web.Request, answer: web.Response, part: str) -> web.Response:
    """Send some of the answer as raw bytes, then end the connection."""
    body = (answer.text or "").encode()
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\nContent-Type: application/json\r\n".encode()
    whole = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    if request.transport is not None:
        request.transport.write(head[:-10] if part == "head" else whole[: -len(body) // 2])
        request.transport.close()
    return answer


def _wrong(answer: web.Response) -> web.Response:
    other = sha256(b"something else").hexdigest()
    headers = {**answer.headers, "Repr-Digest": digest_header(other)}
    body = json.dumps(json.loads(answer.text or "") | {"sha256": other}) + "\n"
    return web.Response(status=answer.status, body=body.encode(), headers=headers)
