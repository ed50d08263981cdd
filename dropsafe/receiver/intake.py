"""Taking the body of a request in: small ones in memory, large ones block by block into a file.

Memory is one block for each request, whatever its size. What is hashed is what was received, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from dropsafe.receiver.bodies import BLOCK, SMALL, Bodies, Draft

_BEAT = 0.1
"""Seconds between two reads of one who reads slowly."""


class BodyCut(Exception):
    """The client left, or broke the rules of HTTP, before the body was whole."""


@dataclass(frozen=True, slots=True)
class Body:
    """A whole body: the bytes, or a draft that is not yet durable."""

    sha256: str
    size: int
    content: bytes | Draft


async def take_body(request: web.Request, bodies: Bodies, pace: float = 0) -> Body:
    """The whole body, read at `pace` bytes a second if that is not 0. Raises BodyCut, and OSError if it cannot be written."""
    try:
        length = request.content_length
        if length is not None and length <= SMALL and not pace:
            content = await request.read()
            return Body(hashlib.sha256(content).hexdigest(), length, content)
        return await _take_large(_chunks(request, pace), bodies)
    except (ConnectionError, web.RequestPayloadError) as error:
        raise BodyCut from error


async def take_half(request: web.Request) -> None:
    """Read half of the body, or its beginning if its length is not known, and forget it. Raises BodyCut."""
    left = (request.content_length or 1) // 2
    try:
        while left > 0 and (chunk := await request.content.read(min(left, BLOCK))):
            left -= len(chunk)
    except (ConnectionError, web.RequestPayloadError) as error:
        raise BodyCut from error


async def _chunks(request: web.Request, pace: float) -> AsyncIterator[bytes]:
    if not pace:
        async for chunk in request.content.iter_any():
            yield chunk
        return
    while chunk := await request.content.read(max(1, int(pace * _BEAT))):
        await asyncio.sleep(len(chunk) / pace)
        yield chunk


async def _take_large(chunks: AsyncIterator[bytes], bodies: Bodies) -> Body:
    block = bytearray()
    draft: Draft | None = None
    whole = False
    try:
        async for chunk in chunks:
            block += chunk
            if len(block) >= BLOCK:
                if draft is None:
                    draft = await asyncio.to_thread(bodies.draft)
                await asyncio.to_thread(draft.append, block)
                block = bytearray()
        if draft is None and len(block) <= SMALL:
            return Body(hashlib.sha256(block).hexdigest(), len(block), bytes(block))
        if draft is None:
            draft = await asyncio.to_thread(bodies.draft)
        await asyncio.to_thread(draft.append, block)
        whole = True
        return Body(draft.sha256, draft.size, draft)
    finally:
        if draft is not None and not whole:
            draft.discard()
