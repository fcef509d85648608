"""What a real browser does with what the API says: forms, scripts, other origins."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.serving import serving

# It talks to nobody but the servers of these tests.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_PAGE = """
from examples.python.page.app import app
app.run(port=0)
"""

_SHARED = """
from apifrom import API
from apifrom.middleware import CORSMiddleware, CSRFMiddleware
from apifrom.responses import JSONResponse

app = API()
app.add_middleware(CSRFMiddleware(secret="a secret for browsers of more than 32 bytes"))
app.add_middleware(
    CORSMiddleware(
        allow_origins=["http://localhost:{page}"],
        allow_methods=["GET", "PUT"],
        allow_headers=["X-Custom"],
        expose_headers=["X-Shown"],
        allow_credentials=True,
    )
)
asked = []


@app.get("/data")
def data(request):
    asked.append("GET")
    body = {{"strict": request.cookies.get("strict"), "none": request.cookies.get("none")}}
    return JSONResponse(body, headers={{"X-Shown": "yes", "X-Hidden": "no"}})


@app.api("/data", methods=["PUT", "DELETE"])
def change(request):
    asked.append(request.method)
    return {{}}


@app.get("/log-in")
def log_in():
    answer = JSONResponse({{}})
    answer.set_cookie("strict", "1", samesite="strict")
    answer.set_cookie("none", "1", samesite="none")
    return answer


@app.get("/asked")
def all_asked() -> list:
    return asked


app.run(port=0)
"""

# Served, not made up: a browser asks pages from nowhere whether they may reach this machine.
_FOREIGN = """
from apifrom import API
from apifrom.responses import HTMLResponse

app = API()


@app.get("/")
def page(form: str = "", token: str = "") -> HTMLResponse:
    return HTMLResponse(
        f'<title>foreign</title><form method="post" action="{form}"><input name="text" value="x">'
        f'<input name="csrf_token" value="{token}"></form>'
    )


app.run(port=0)
"""

_FETCH = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.status, answer.headers.get("x-shown"), answer.headers.get("x-hidden")];
  } catch {
    return "blocked";
  }
}"""


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no chromium here: run `scripts/prerequisites gates` as root"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def test_the_own_form_and_the_own_script_are_taken_and_no_other_sites_form(page):
    with serving(_PAGE) as port:
        own = f"http://127.0.0.1:{port}"
        page.goto(own)
        page.fill("[name=text]", "by form <b>")
        page.click("text=Keep by form")
        assert page.locator("li").all_inner_texts() == ["by form <b>"]
        page.fill("[name=text]", "by script")
        page.click("#by-script")
        # Not by `wait_for_function`, which the page's own policy keeps from asking twice.
        expect(page.locator("#said")).to_have_text("kept")
        # A page of another site posts the same form, with a token that it made up or fetched.
        token = page.locator("[name=csrf_token]").get_attribute("value")
        with serving(_FOREIGN) as other:
            for given in ("made-up", token):
                page.goto(f"http://localhost:{other}/?form={own}/notes&token={given}")
                with page.expect_navigation() as posted:
                    page.evaluate("document.forms[0].submit()")
                assert posted.value.status == 403
                assert "csrf_cross_site" in page.inner_text("body")
        page.goto(own)
        assert page.locator("li").all_inner_texts() == ["by form <b>", "by script"]


def test_what_was_injected_does_not_run(page):
    with serving(_PAGE) as port:
        own = f"http://127.0.0.1:{port}"
        violations = []
        page.on("console", lambda message: violations.append(message.text))
        page.route(
            own + "/",
            lambda route: route.fulfill(
                response=(answer := route.fetch()),
                body=answer.text() + "<script>document.title = 'injected'</script>",
            ),
        )
        page.goto(own + "/")
        assert page.title() == "Notes"
        assert any("Content Security Policy" in violation for violation in violations)


_NONCE = """
from apifrom import API
from apifrom.middleware import SecurityHeadersMiddleware, csp_nonce
from apifrom.responses import HTMLResponse

app = API()
app.add_middleware(SecurityHeadersMiddleware())


@app.get("/")
def page(request, injected: str = "") -> HTMLResponse:
    nonce = csp_nonce(request)
    return HTMLResponse(
        f'<style nonce="{nonce}">p {{ color: rgb(1, 2, 3) }}</style><p>text</p>{injected}'
        f'<script nonce="{nonce}">window.ours = true</script>'
    )


app.run(port=0)
"""


def test_what_bears_the_nonce_runs_and_nothing_that_was_injected_beside_it(page):
    with serving(_NONCE) as port:
        own = f"http://127.0.0.1:{port}/"
        page.goto(own)
        assert page.evaluate("window.ours") is True
        color = "getComputedStyle(document.querySelector('p')).color"
        assert page.evaluate(color) == "rgb(1, 2, 3)"
        stolen = page.evaluate("document.querySelector('script:last-of-type').nonce")
        assert len(stolen) == 24
        for attribute in ("", " nonce=''", f" nonce='{stolen}'"):
            page.goto(f"{own}?injected=<script{attribute}>window.theirs = true</script>")
            assert page.evaluate("window.ours") is True
            assert page.evaluate("window.theirs") is None
            assert page.evaluate("document.querySelector('script:last-of-type').nonce") != stolen


def test_pages_of_other_origins_read_what_they_may_and_nothing_else(page):
    # The port of the first is what the API allows.
    with (
        serving(_FOREIGN) as foreign,
        serving(_FOREIGN) as stranger,
        serving(_SHARED.format(page=foreign)) as port,
    ):
        api = f"http://127.0.0.1:{port}"
        page.goto(api + "/log-in")
        page.goto(f"http://localhost:{foreign}/")

        def ask(path, **options):
            return page.evaluate(_FETCH, [api + path, options])

        assert ask("/data") == [200, "yes", None]
        assert ask("/data", credentials="include") == [200, "yes", None]
        sent = page.evaluate(
            "async url => (await fetch(url, {credentials: 'include'})).json()", api + "/data"
        )
        # SameSite=Strict stays at home.
        assert sent["strict"] is None
        assert ask("/data", headers={"X-Custom": "1"}) == [200, "yes", None]
        assert ask("/data", headers={"X-Other": "1"}) == "blocked"
        assert ask("/data", method="DELETE") == "blocked"
        # The origin may ask, and is no page of ours: 403, which it may read.
        assert ask("/data", method="PUT") == [403, None, None]
        page.goto(f"http://localhost:{stranger}/")
        assert ask("/data") == "blocked"
        assert ask("/data", credentials="include") == "blocked"
        page.goto(api + "/asked")
        asked = page.evaluate("JSON.parse(document.body.innerText)")
        assert set(asked) == {"GET"}
