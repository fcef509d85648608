"""Threads beside the loop: executors, thread-safe calls, and computing neighbours."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
import time


def test_call_soon_threadsafe_wakes_an_idle_loop(worker):
    called = threading.Event()
    for _ in range(20):
        called.clear()
        begin = time.monotonic()
        worker.event_loop.call_soon_threadsafe(called.set)
        assert called.wait(5)
        assert time.monotonic() - begin < 1


def test_coroutines_are_run_from_other_threads(worker):
    async def answer():
        await asyncio.sleep(0.001)
        return threading.current_thread().name

    future = asyncio.run_coroutine_threadsafe(answer(), worker.event_loop)
    assert future.result(5)


def test_to_thread_and_executors_answer(run):
    async def handler():
        loop = asyncio.get_running_loop()
        here = threading.get_ident()
        there = await asyncio.to_thread(threading.get_ident)
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            sums = await asyncio.gather(
                *(loop.run_in_executor(executor, sum, range(n)) for n in range(10))
            )
        return here != there, sums

    assert run(handler) == (True, [sum(range(n)) for n in range(10)])


def test_a_thread_may_answer_what_a_coroutine_waits_for(run):
    async def handler():
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def answer():
            time.sleep(0.01)
            loop.call_soon_threadsafe(future.set_result, "from a thread")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            return await asyncio.wait_for(future, 5)
        finally:
            thread.join()

    assert run(handler) == "from a thread"


def test_computing_threads_do_not_hold_up_answers_that_need_no_python(worker):
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(1_000))

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        ticks = sorted(worker.tick() for _ in range(100))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert ticks[90] < 0.02


def test_the_switch_interval_is_short_while_a_worker_lives(worker):
    assert sys.getswitchinterval() < 0.001
    worker.close()
    assert sys.getswitchinterval() > 0.001


def test_a_worker_that_is_stopped_on_its_own_thread_does_not_wait_for_itself(worker):
    outcome = []
    done = threading.Event()

    def stop():
        try:
            outcome.append(worker.close())
        finally:
            done.set()

    worker.event_loop.call_soon_threadsafe(stop)
    assert done.wait(5)
    assert outcome == [None]
