"""Which endpoints a declaration reaches, and what may still be declared when."""

from __future__ import annotations

import contextlib
import functools
import itertools
import types

import pytest

from apifrom import API, Depends, Router, api, public
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import csrf_exempt, rate_limit, timeout
from apifrom.security import api_key_required
from apifrom.testing import TestClient

KEY = {"X-API-Key": "key-1"}
COUNTER = itertools.count()
GIVEN = {
    "API": API,
    "api": api,
    "csrf_exempt": csrf_exempt,
    "functools": functools,
    "public": public,
    "rate_limit": rate_limit,
    "timeout": timeout,
}


def keys(**options):
    return api_key_required({"key-1": []}, **options)


def views(source):
    """A module that serves nothing by itself, as files of views are."""
    module = types.ModuleType(f"views_{next(COUNTER)}")
    vars(module).update(GIVEN, keys=keys)
    exec(compile(source, module.__name__, "exec"), vars(module))
    return module


def errors_of(app):
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    return dict(raised.value.errors)


def plainly(function):
    """A decorator that forgets `functools.wraps`."""

    def inner():
        return function()

    return inner


class Plainly:
    """The same as a class."""

    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self.function()


FOUND = {
    "method": ("class C:\n @keys()\n def m(self): return 'x'", lambda m: m.C().m),
    "inherited method": (
        "class B:\n @keys()\n def m(self): return 'x'\nclass C(B): pass",
        lambda m: m.C().m,
    ),
    "classmethod": ("class C:\n @classmethod\n @keys()\n def m(cls): return 'x'", lambda m: m.C.m),
    "above classmethod": (
        "class C:\n @keys()\n @classmethod\n def m(cls): return 'x'",
        lambda m: m.C.m,
    ),
    "staticmethod": ("class C:\n @staticmethod\n @keys()\n def m(): return 'x'", lambda m: m.C.m),
    "above staticmethod": (
        "class C:\n @keys()\n @staticmethod\n def m(): return 'x'",
        lambda m: m.C.m,
    ),
    "instance": ("class C:\n @keys()\n def __call__(self): return 'x'", lambda m: m.C()),
    "class of an instance": (
        "@keys()\nclass C:\n def __call__(self): return 'x'",
        lambda m: m.C(),
    ),
    "partial": ("@keys()\ndef f(a: int = 1): return 'x'", lambda m: functools.partial(m.f, a=2)),
    "partial of a method": (
        "class C:\n @keys()\n def m(self, a: int = 1): return 'x'",
        lambda m: functools.partial(m.C().m, a=2),
    ),
    "partialmethod": (
        "class C:\n @keys()\n def f(self, a: int): return 'x'\n"
        " m = functools.partialmethod(f, a=2)",
        lambda m: m.C().m,
    ),
    "cached": ("@keys()\ndef f(): return 'x'", lambda m: functools.lru_cache(m.f)),
}


@pytest.mark.parametrize(("source", "served"), FOUND.values(), ids=FOUND)
def test_a_protection_holds_wherever_python_knows_what_is_called(source, served):
    module = views(source)
    app = API()
    app.get("/")(served(module))
    with TestClient(app) as client:
        assert client.get("/").status_code == 401
        assert client.get("/", headers=KEY).text == "x"


def test_a_method_that_is_asked_for_anew_is_still_protected():
    class Items:
        def __init__(self, key):
            self.key = key

        def one(self):
            return self.key

    first, second, open_ = (Items(name) for name in ("first", "second", "open"))
    for items in (first, second):
        api_key_required({items.key: []})(items.one)
    app = API()
    for items in (first, second, open_):
        app.get(f"/{items.key}")(items.one)
    with TestClient(app) as client:
        assert client.get("/open").status_code == 200
        for mine, other in (("first", "second"), ("second", "first")):
            assert client.get(f"/{mine}", headers={"X-API-Key": mine}).status_code == 200
            assert client.get(f"/{mine}", headers={"X-API-Key": other}).status_code == 401


def test_limits_and_what_surrounds_an_endpoint_hold_there_as_well():
    class Views:
        @rate_limit("1/hour")
        def limited(self):
            return "x"

        @public(reason="a test")
        def shown(self):
            return "x"

    app = API(auth=keys())
    app.get("/limited")(Views().limited)
    app.get("/shown")(functools.partial(Views().shown))
    with TestClient(app) as client:
        assert client.get("/shown").status_code == 200
        assert client.get("/limited", headers=KEY).status_code == 200
        assert client.get("/limited", headers=KEY).status_code == 429


DECORATORS = {
    "api_key_required": "@keys()",
    "public": "@public(reason='a test')",
    "rate_limit": "@rate_limit('1/hour')",
    "timeout": "@timeout(5)",
    "csrf_exempt": "@csrf_exempt(reason='a test')",
}


@pytest.mark.parametrize(
    "wrap", [plainly, Plainly, lambda f: functools.partial(Plainly, f)], ids=[1, 2, 3]
)
@pytest.mark.parametrize("name", DECORATORS)
def test_what_a_decorator_without_wraps_hides_does_not_start(name, wrap):
    module = views(f"{DECORATORS[name]}\ndef f(): return 'x'")
    app = API()
    app.get("/")(wrap(plainly(module.f)))
    errors = errors_of(app)
    assert (
        f"{name} stands on a function that is no endpoint" in errors[f"routes.{module.__name__}.f"]
    )


def test_a_protection_that_one_endpoint_has_and_another_loses_does_not_start():
    module = views("@keys()\ndef f(): return 'x'")
    app = API()
    app.get("/a")(module.f)
    app.get("/b")(plainly(module.f))
    (message,) = errors_of(app).values()
    assert message == (
        f"the api_key_required of {module.__name__}.f is lost in a decorator; "
        "put functools.wraps into it"
    )


@pytest.mark.parametrize(
    "declare", [keys(name="other"), public(reason="a test")], ids=["keys", "public"]
)
def test_an_endpoint_with_a_protection_of_its_own_may_hold_a_protected_function(declare):
    module = views("@keys()\ndef f(): return 'x'")
    app = API()
    app.get("/a")(module.f)
    app.get("/b")(declare(plainly(module.f)))
    app.freeze()


def test_endpoints_of_one_scope_may_mention_each_other():
    app = API()

    @app.get("/me")
    @keys()
    def me():
        return "me"

    @app.get("/name")
    def name():
        return me.__name__

    with TestClient(app) as client:
        assert client.get("/name").text == "me"


def test_a_protection_on_a_dependency_protects_nothing_and_does_not_start():
    module = views("@keys()\ndef user(): return 'x'")
    app = API()

    @app.get("/{number}")
    def handler(number, user: str = Depends(module.user)):
        return f"{user} {number}"

    (message,) = errors_of(app).values()
    assert message.startswith("api_key_required stands on a function that is no endpoint")


def test_a_module_of_views_may_be_served_in_part():
    module = views(
        "@keys()\ndef served(): return 'x'\n"
        "class C:\n @keys()\n def other(self): return 'x'\n def served(self): return 'x'"
    )
    for served in (module.served, functools.partial(module.C().served)):
        app = API()
        app.get("/")(served)
        app.freeze()


def test_protected_functions_of_modules_that_nobody_serves_are_left_alone():
    module = views("@keys()\ndef f(): return 'x'\n@rate_limit('1/hour')\ndef g(): return 'x'")
    app = API()
    app.get("/")(views("def f(): return 'x'").f)
    app.freeze()
    keys(name="later")(module.f)
    other = API()
    other.get("/")(module.f)
    other.get("/g")(module.g)
    other.freeze()


def started():
    app = API()
    router, inner = Router("/r"), Router("/i")
    router.router(inner)
    app.router(router)

    class Views:
        def method(self):
            return "x"

    @app.get("/")
    def handler():
        return "x"

    app.get("/method")(Views().method)
    inner.get("/")(functools.partial(handler))
    app.freeze()
    return types.SimpleNamespace(app=app, router=router, inner=inner, handler=handler, views=Views)


LATE = {
    "endpoint": lambda a: a.app.get("/late")(lambda: "late"),
    "router": lambda a: a.app.router(Router("/late")),
    "endpoint of a router": lambda a: a.router.get("/late")(lambda: "late"),
    "router of a router": lambda a: a.router.router(Router("/late")),
    "endpoint of an inner router": lambda a: a.inner.api("/late")(lambda: "late"),
    "protection": lambda a: keys()(a.handler),
    "protection of a method": lambda a: keys()(a.views.method),
    "public": lambda a: public(reason="a test")(a.handler),
    "limit": lambda a: rate_limit("1/hour")(a.handler),
    "time-out": lambda a: timeout(5)(a.handler),
}


@pytest.mark.parametrize("declare", LATE.values(), ids=LATE)
def test_what_is_declared_after_the_start_is_refused(declare):
    app = started()
    with pytest.raises(RuntimeError, match="has started"):
        declare(app)


def test_a_module_level_declaration_after_the_start_is_refused():
    module = views("app = API()\ndef late(): api('/')(lambda: 'late')")
    module.app.freeze()
    with pytest.raises(RuntimeError, match="has started"):
        module.late()


def test_what_belongs_to_no_api_that_has_started_may_be_declared_at_any_time():
    app = started()
    router = Router("/new")

    @router.get("/")
    @keys()
    def late():
        return "late"

    @functools.wraps(app.handler)
    def wrapper():
        return app.handler()

    keys()(wrapper)
    router.get("/wrapper")(wrapper)
    module = views("@api('/')\ndef late(): return 'late'\napp = API()")
    other = API()
    other.router(router)
    other.router(app.router)
    with TestClient(other) as client:
        assert client.get("/new/", headers=KEY).text == "late"
        assert client.get("/new/wrapper").status_code == 401
    with TestClient(module.app) as client:
        assert client.get("/").text == "late"


def test_an_api_that_did_not_start_can_be_mended():
    app = API(default="deny")
    router = Router()
    app.router(router)

    @router.get("/")
    def handler():
        return "x"

    assert errors_of(app)
    keys()(handler)
    router.get("/more")(keys()(lambda: "x"))
    app.freeze()


@pytest.mark.parametrize("route", [None, 3, print])
@pytest.mark.parametrize("declare", [api, API().get, Router("/r").post], ids=["api", "app", "r"])
def test_a_route_that_is_no_text_is_named(declare, route):
    with pytest.raises(TypeError, match=r"^route: expected a path template, such as '/users/{id}'"):
        declare(route)


def test_a_prefix_that_is_no_text_is_named():
    with pytest.raises(TypeError, match=r"^prefix: expected text, found 3"):
        Router(3)


def test_a_router_cannot_stand_in_itself():
    outer, middle, inner = Router("/o"), Router("/m"), Router("/i")
    outer.router(middle)
    middle.router(inner)
    for router in (outer, middle, inner):
        with pytest.raises(ValueError, match=r"Router\('/o'\) cannot stand in itself"):
            router.router(outer)
    inner.router(Router("/other"))
    outer.router(inner)


def test_what_cannot_be_protected_says_what_to_do():
    class Slotted:
        __slots__ = ()

        def __call__(self):
            return "x"

    with pytest.raises(TypeError, match="a Slotted cannot be decorated itself; decorate its __cal"):
        keys()(Slotted())
    keys()(Slotted.__call__)
    app = API()
    app.get("/")(Slotted())
    with TestClient(app) as client:
        assert client.get("/").status_code == 401


def test_mistakes_about_the_lifespan_are_named_beside_the_others():
    app = API(
        lifespan=3, on_startup=[print, 3], on_shutdown=["x"], max_body_size="big", strict=False
    )
    app.on_startup(None)
    assert errors_of(app) == {
        "lifespan": "expected a function, found int",
        "on_startup[1]": "expected a function, found int",
        "on_startup[2]": "expected a function, found NoneType",
        "on_shutdown[0]": "expected a function, found str",
        "max_body_size": "expected a whole number in range, found str",
    }
    for argument in ("on_startup", "on_shutdown"):
        with pytest.raises(TypeError, match=f"^{argument}: expected a list of functions, found"):
            API(**{argument: print})


def test_a_lifespan_that_is_no_context_manager_says_what_is_missing():
    async def lifespan(app):
        yield

    assert errors_of(API(lifespan=lifespan)) == {
        "lifespan": "put contextlib.asynccontextmanager above the function"
    }
    with TestClient(API(lifespan=contextlib.asynccontextmanager(lifespan))):
        pass


def test_errors_name_what_is_called_and_not_what_it_holds():
    module = views("def f(a: int, *, key: str = ''): return 'x'")

    class Holder:
        def __init__(self, key):
            self.key = key

        def __call__(self):
            return "x"

        def __repr__(self):
            return f"Holder({self.key!r})"

    app = API(default="deny")
    app.get("/{a}")(functools.partial(module.f, key="hunter2"))
    app.get("/")(Holder("hunter2"))
    app.post("/")("hunter2")
    errors = errors_of(app)
    here = "routes.tests.test_reached"
    assert set(errors) == {
        f"routes.{module.__name__}.f",
        f"{here}.test_errors_name_what_is_called_and_not_what_it_holds.<locals>.Holder",
        f"{here}.str",
    }
