"""The mailbox where orders are left, without Ray."""

from __future__ import annotations

import asyncio

from synrep_search.workers.on_ray.mailbox import HUNG, Mailbox


def test_a_note_waits_for_its_taker() -> None:
    """What was put first is taken later."""

    async def talk() -> str:
        mailbox = Mailbox()
        await mailbox.put("a", 1, "orders")
        return await asyncio.wait_for(mailbox.take("a", 1), 5)

    assert asyncio.run(talk()) == "orders"


def test_a_taker_waits_for_its_note() -> None:
    """Who comes first waits, and only for the note of its own slot and turn."""

    async def talk() -> tuple[bool, str]:
        mailbox = Mailbox()
        taker = asyncio.create_task(mailbox.take("a", 2))
        await mailbox.put("b", 2, "for b")
        await mailbox.put("a", 1, "earlier")
        await asyncio.sleep(0.01)
        waited = not taker.done()
        await mailbox.put("a", 2, "orders")
        return waited, await asyncio.wait_for(taker, 5)

    assert asyncio.run(talk()) == (True, "orders")


def test_orders_are_handed_over_once() -> None:
    """A note that was taken is gone, so a mailbox does not grow with a search."""

    async def talk() -> int:
        mailbox = Mailbox()
        for turn in range(50):
            await mailbox.put("a", turn, str(turn))
            assert await mailbox.take("a", turn) == str(turn)
        return len(mailbox._orders)

    assert asyncio.run(talk()) == 0


def test_the_desk_says_when_to_pause_and_who_stands_still() -> None:
    """Who waits for the end learns of it; a slot that stands still is remembered."""

    async def talk() -> list[object]:
        mailbox = Mailbox()
        waiting = asyncio.create_task(mailbox.wait_for_pause())
        await asyncio.sleep(0.01)
        before = waiting.done()
        await mailbox.request_pause()
        await asyncio.wait_for(waiting, 5)
        await mailbox.note_end("a", HUNG)
        return [before, await mailbox.end_reason("a"), await mailbox.end_reason("b")]

    assert asyncio.run(talk()) == [False, HUNG, ""]
