"""Processes that are there at once: forked from one that has loaded the portal. Nothing of a test is in them."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import TypeVar

P = TypeVar("P")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["portal.service", "portal.demo.clock", "portal.flow.clear_away", "granian.server.embed"]
)


def forked(work: Callable[[P], None], place: P) -> BaseProcess:
    """`work(place)` under way in a process of its own."""
    process = _context.Process(target=work, args=(place,))
    process.start()
    return process
