"""`async def`: a stock task whose first step runs at once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time

import pytest

from apifrom._apifrom import _Route

VALUE = contextvars.ContextVar("VALUE", default="unset")


def test_a_coroutine_that_never_waits_returns_its_value(run):
    async def handler(number):
        return number + 1

    assert run(handler, 1) == 2


def test_a_coroutine_that_waits_returns_its_value(run):
    async def handler():
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        return "done"

    assert run(handler) == "done"


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_coroutine_raises_reaches_the_caller(run, waits):
    async def handler():
        if waits:
            await asyncio.sleep(0.001)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(handler)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exit_in_a_coroutine_costs_one_call(run, waits, error):
    async def handler():
        if waits:
            await asyncio.sleep(0.001)
        raise error

    async def other():
        return "alive"

    with pytest.raises(error):
        run(handler)
    assert run(other) == "alive"


def test_wrong_arguments_reach_the_caller(run):
    async def handler(number):
        return number

    with pytest.raises(TypeError):
        run(handler)


def test_a_coroutine_runs_in_a_task_from_its_first_step_on(run):
    async def handler():
        before = asyncio.current_task()
        known = before in asyncio.all_tasks()
        await asyncio.sleep(0.001)
        return type(before), before is asyncio.current_task(), known, before in asyncio.all_tasks()

    assert run(handler) == (asyncio.Task, True, True, True)


def test_the_running_loop_is_the_workers(run, worker):
    async def handler():
        return asyncio.get_running_loop()

    assert run(handler) is worker.event_loop
    assert isinstance(worker.event_loop, asyncio.SelectorEventLoop)


def test_no_task_is_current_once_a_call_is_over(run, worker):
    async def handler():
        return None

    def between():
        return asyncio.current_task(worker.event_loop)

    run(handler)
    assert run(between, blocking=False) is None
    assert run(handler) is None


def test_a_handler_that_itself_does_not_wait_may_leave_a_task_behind(run):
    done = threading.Event()
    kept = []

    async def later():
        await asyncio.sleep(0.01)
        done.set()

    async def handler():
        kept.append(asyncio.create_task(later()))
        return "answered"

    assert run(handler) == "answered"
    assert done.wait(5)


def test_a_callback_left_by_a_handler_that_does_not_wait_is_called(run):
    called = threading.Event()

    async def handler():
        asyncio.get_running_loop().call_soon(called.set)

    run(handler)
    assert called.wait(5)


def test_a_timer_left_by_a_handler_that_does_not_wait_fires(run):
    fired = threading.Event()

    async def handler():
        asyncio.get_running_loop().call_later(0.02, fired.set)

    run(handler)
    assert fired.wait(5)


def test_a_timeout_ends_what_takes_too_long(run):
    async def handler():
        try:
            async with asyncio.timeout(0.02):
                await asyncio.sleep(10)
        except TimeoutError:
            return "late"

    assert run(handler) == "late"


def test_a_timeout_works_in_the_first_step(run):
    async def handler():
        async with asyncio.timeout(5):
            return "in time"

    assert run(handler) == "in time"


def test_wait_for_and_task_groups_work(run):
    async def double(number):
        await asyncio.sleep(0.001)
        return number * 2

    async def handler():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(number)) for number in range(5)]
        return [task.result() for task in tasks], await asyncio.wait_for(double(21), 5)

    assert run(handler) == ([0, 2, 4, 6, 8], 42)


def test_timers_of_finished_timeouts_do_not_pile_up(run, worker):
    async def holds_a_timer_before_all_others():
        asyncio.get_running_loop().call_later(0.2, lambda: None)

    async def handler():
        async with asyncio.timeout(3600):
            return

    run(holds_a_timer_before_all_others)
    for _ in range(1_000):
        run(handler)
    assert len(worker.event_loop._scheduled) < 500


def test_timers_fire_in_their_order_and_not_early(run):
    async def handler():
        loop = asyncio.get_running_loop()
        fired = []
        begin = loop.time()
        for delay in (0.03, 0.01, 0.02, 0.0005, 0.0):
            loop.call_later(delay, lambda delay=delay: fired.append((delay, loop.time() - begin)))
        await asyncio.sleep(0.05)
        return fired

    fired = run(handler)
    assert [delay for delay, _ in fired] == [0.0, 0.0005, 0.01, 0.02, 0.03]
    assert all(taken >= delay for delay, taken in fired)


def test_each_call_has_a_context_of_its_own(run):
    async def handler(value):
        before = VALUE.get()
        VALUE.set(value)
        await asyncio.sleep(0.001)
        return before, VALUE.get()

    assert run(handler, "a") == ("unset", "a")
    assert run(handler, "b") == ("unset", "b")


def test_a_call_that_does_not_wait_leaves_no_trace_in_the_context(run):
    async def handler(value):
        before = VALUE.get()
        VALUE.set(value)
        return before

    assert run(handler, "a") == "unset"
    assert run(handler, "b") == "unset"


def test_a_client_that_goes_cancels_the_handler(worker):
    begun, cancelled = threading.Event(), threading.Event()

    async def handler():
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    call = worker.begin(_Route(handler))
    assert begun.wait(5)
    call.give_up()
    assert cancelled.wait(5)


def test_a_handler_may_clean_up_after_its_client_has_gone(worker):
    begun, cleaned = threading.Event(), threading.Event()

    async def handler():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    call = worker.begin(_Route(handler))
    assert begun.wait(5)
    call.give_up()
    assert cleaned.wait(5)


def test_many_calls_wait_side_by_side(worker):
    async def handler(number):
        await asyncio.sleep(0.1)
        return number

    route = _Route(handler)
    begin = time.monotonic()
    calls = [worker.begin(route, number) for number in range(500)]
    assert [call.result() for call in calls] == list(range(500))
    assert time.monotonic() - begin < 3


def test_a_finished_task_is_freed_at_once(run):
    async def handler():
        await asyncio.sleep(0.001)

    run(handler)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(200):
            run(handler)
        assert len(gc.get_objects()) - before < 100
    finally:
        gc.enable()


def test_an_answer_that_needs_no_python_does_not_wait_for_a_busy_loop(run, worker):
    stop = threading.Event()

    async def spins():
        while not stop.is_set():
            await asyncio.sleep(0)

    call = worker.begin(_Route(spins))
    try:
        assert sorted(worker.tick() for _ in range(50))[25] < 0.05
    finally:
        stop.set()
        call.result()


def test_closing_a_worker_cancels_what_still_waits():
    from apifrom._apifrom import _Worker

    worker = _Worker()
    begun, cancelled = threading.Event(), threading.Event()

    async def handler():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    call = worker.begin(_Route(handler))
    assert begun.wait(5)
    worker.close()
    assert cancelled.is_set()
    assert worker.event_loop.is_closed()
    with pytest.raises((RuntimeError, asyncio.CancelledError)):
        call.result(1)


def test_several_workers_live_in_one_process():
    from apifrom._apifrom import _Worker

    async def handler():
        await asyncio.sleep(0.01)
        return threading.get_ident()

    workers = [_Worker() for _ in range(3)]
    calls = [worker.begin(_Route(handler)) for worker in workers]
    assert len({call.result() for call in calls}) == 3
    for worker in workers:
        worker.close()


def test_a_call_from_another_thread_reaches_the_loop(worker):
    async def handler(number):
        await asyncio.sleep(0.001)
        return number

    route = _Route(handler)
    calls = [worker.begin_here(route, number) for number in range(50)]
    assert [call.result() for call in calls] == list(range(50))


def test_what_a_finaliser_asks_the_loop_for_while_a_task_is_built_is_done(worker):
    asked, called = [], []

    class Garbage:
        def __init__(self, loop):
            self.me = self
            self.loop = loop

        def __del__(self):
            # Here on the loop's thread, or on the test's own.
            asked.append(id(self))
            self.loop.call_soon(called.append, id(self))

    async def handler():
        Garbage(asyncio.get_running_loop())
        await asyncio.sleep(0)

    async def collect():
        gc.collect()

    route = _Route(handler)
    thresholds = gc.get_threshold()
    try:
        # So that some of many collections fall where a task is built.
        for threshold in range(1, 51):
            gc.set_threshold(threshold)
            for call in [worker.begin(route) for _ in range(20)]:
                call.result()
    finally:
        gc.set_threshold(*thresholds)
    worker.begin(_Route(collect)).result()
    end = time.monotonic() + 5
    while len(called) < 1_000 and time.monotonic() < end:
        time.sleep(0.005)
    assert len(asked) == 1_000
    assert sorted(called) == sorted(asked)
