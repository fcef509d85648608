"""`def`: in the pool until it has proved short, then on the loop's thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from apifrom._apifrom import _pool_load, _Route

VALUE = contextvars.ContextVar("VALUE", default="unset")


def call_often(worker, route, *arguments, times=40):
    return [worker.begin(route, *arguments).result() for _ in range(times)]


def call_until_inline(worker, route, *arguments):
    """A busy machine may spoil a row of quick calls."""
    for _ in range(10_000):
        if route.mode == "inline":
            return
        worker.begin(route, *arguments).result()
    raise AssertionError("never inline")


def test_a_short_function_moves_to_the_loops_thread(worker):
    route = _Route(threading.get_ident)
    assert route.mode == "pool"
    loop_thread = worker.begin(_Route(threading.get_ident, blocking=False)).result()
    assert worker.begin(route).result() != loop_thread
    call_until_inline(worker, route)
    assert not route.decided
    assert worker.begin(route).result() == loop_thread


def test_a_function_that_takes_longer_stays_in_the_pool(worker):
    route = _Route(lambda: time.sleep(0.001))
    call_often(worker, route)
    assert route.mode == "pool"


def test_a_slow_call_returns_a_function_to_the_pool_where_it_has_to_prove_more(worker):
    route = _Route(time.sleep)
    for proof in (32, 64, 128):
        assert (route.mode, route.proof) == ("pool", proof)
        call_often(worker, route, 0, times=proof - 1)
        assert route.mode == "pool"
        call_until_inline(worker, route, 0)
        worker.begin(route, 0.02).result()


def test_what_waits_behind_a_slow_call_goes_to_the_pool(worker):
    route = _Route(time.sleep)
    call_until_inline(worker, route, 0)
    begin = time.monotonic()
    calls = [worker.begin(route, 0.1) for _ in range(20)]
    for call in calls:
        call.result()
    assert time.monotonic() - begin < 1


def test_a_wait_for_the_interpreter_is_not_held_against_a_short_function(worker):
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(1_000))

    def short(times):
        # Gives the interpreter up, and gets it back only after the others had it.
        for _ in range(times):
            time.sleep(0)

    route = _Route(short)
    call_until_inline(worker, route, 0)
    others = [threading.Thread(target=compute) for _ in range(3)]
    for other in others:
        other.start()
    try:
        worker.begin(route, 16).result()
    finally:
        stop.set()
        for other in others:
            other.join()
    assert route.proof == 32
    call_until_inline(worker, route, 0)


@pytest.mark.parametrize(("blocking", "mode"), [(True, "pool"), (False, "inline")])
def test_blocking_decides_by_hand(worker, blocking, mode):
    route = _Route(time.sleep, blocking=blocking)
    call_often(worker, route, 0)
    worker.begin(route, 0.01).result()
    assert (route.mode, route.decided) == (mode, True)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_function_has_no_running_loop(run, blocking):
    def handler():
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return "none"

    assert run(handler, blocking=blocking) == "none"


@pytest.mark.parametrize("blocking", [True, False])
def test_a_function_may_run_a_loop_of_its_own(run, blocking):
    async def inner():
        await asyncio.sleep(0.001)
        return "ran"

    def handler():
        return asyncio.run(inner())

    assert run(handler, blocking=blocking) == "ran"


def test_the_running_loop_is_back_after_an_inline_function(run, worker):
    async def handler():
        return asyncio.get_running_loop() is worker.event_loop

    for _ in range(3):
        run(lambda: None, blocking=False)
        assert run(handler)


@pytest.mark.parametrize("blocking", [True, False])
def test_each_call_has_a_context_of_its_own(run, blocking):
    def handler(value):
        before = VALUE.get()
        VALUE.set(value)
        return before, VALUE.get()

    assert run(handler, "a", blocking=blocking) == ("unset", "a")
    assert run(handler, "b", blocking=blocking) == ("unset", "b")


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("blocking", [True, False])
def test_what_a_function_raises_reaches_the_caller(run, blocking, error):
    def handler():
        raise error("mine")

    with pytest.raises(error, match="mine"):
        run(handler, blocking=blocking)
    assert run(lambda: "alive", blocking=blocking) == "alive"


def test_a_task_made_by_an_inline_function_runs(inline, worker):
    done = threading.Event()

    async def later():
        done.set()

    def handler():
        return worker.event_loop.create_task(later())

    assert inline(handler) is not None
    assert done.wait(5)


def test_a_timer_moved_forward_by_an_inline_function_fires_in_time(inline, worker):
    fired = threading.Event()

    def far():
        worker.event_loop.call_later(30, fired.set)

    def near():
        worker.event_loop.call_later(0.02, fired.set)

    inline(far)
    inline(near)
    assert fired.wait(5)


def test_sleeping_functions_do_not_hold_up_others(worker):
    sleeper, quick = _Route(time.sleep), _Route(lambda: None)
    call_until_inline(worker, quick)
    calls = [worker.begin(sleeper, 0.5) for _ in range(64)]
    begin = time.monotonic()
    call_often(worker, quick, times=20)
    assert time.monotonic() - begin < 0.4
    for call in calls:
        call.result()
    assert time.monotonic() - begin < 2


def test_beyond_threads_and_queue_a_call_is_refused(worker):
    release = threading.Event()
    route = _Route(release.wait, blocking=True)
    calls = [worker.begin(route) for _ in range(256 + 1_024 + 50)]
    try:
        deadline = time.monotonic() + 20
        while _pool_load()[0] < 256 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = worker.begin(route)
        with pytest.raises(RuntimeError, match="Busy"):
            refused.result()
    finally:
        release.set()
    answers = []
    for call in calls:
        try:
            answers.append(call.result(30))
        except RuntimeError:
            answers.append(None)
    assert answers.count(True) >= 256 + 1_024


def test_what_has_not_begun_is_skipped_once_its_client_has_gone(worker):
    begun, release, called = threading.Event(), threading.Event(), threading.Event()

    def block():
        begun.set()
        release.wait(10)

    blocker = _Route(block, blocking=False)
    held = worker.begin(blocker)
    assert begun.wait(5)
    victim = worker.begin_here(_Route(called.set, blocking=False))
    victim.give_up()
    release.set()
    held.result()
    worker.begin(blocker).result()
    assert not called.is_set()


def test_a_thread_of_the_pool_keeps_its_local_values(worker):
    local = threading.local()

    def handler():
        local.count = getattr(local, "count", 0) + 1
        return local.count

    counts = call_often(worker, _Route(handler, blocking=True), times=50)
    assert max(counts) > 5
