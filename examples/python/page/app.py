"""Notes on a page: a form posts one, a script another, and no other site posts any."""

from __future__ import annotations

from html import escape
from pathlib import Path

from apifrom import API, Request, secret
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CSRFMiddleware, SecurityHeadersMiddleware, csrf_token
from apifrom.responses import HTMLResponse, RedirectResponse, Response
from apifrom.security import Secret

HERE = Path(__file__).parent

app = API(title="Notes on a page")
notes: list[str] = []


def csrf_secret() -> Secret | str:
    """The secret of the environment, or one that is known to everybody who reads this."""
    try:
        return secret("CSRF_SECRET")
    except ConfigurationError:
        return "for a look on this machine alone, not a secret"


app.add_middleware(CSRFMiddleware(secret=csrf_secret()))
app.add_middleware(SecurityHeadersMiddleware())


@app.get("/")
def page(request: Request) -> HTMLResponse:
    """The page: its form holds the token, its script reads the cookie."""
    template = (HERE / "page.html").read_text()
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return HTMLResponse(
        template.replace("{{token}}", csrf_token(request)).replace("{{notes}}", items)
    )


@app.get("/page.js")
def script() -> Response:
    """The script, from the page's own origin: nothing else may run there."""
    return Response((HERE / "page.js").read_bytes(), media_type="text/javascript")


@app.post("/notes")
async def add(request: Request) -> RedirectResponse:
    """Keeps what the form sent."""
    form = await request.form()
    notes.append(form.get("text", ""))
    return RedirectResponse("/", status=303)


@app.put("/notes")
def add_by_script(note: dict[str, str]) -> dict[str, int]:
    """Keeps what the script sent."""
    notes.append(note["text"])
    return {"notes": len(notes)}
