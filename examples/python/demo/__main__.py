"""Serves the demo on 127.0.0.1:8000, or the port in `PORT`."""

from __future__ import annotations

import os

from examples.python.demo.app import app

_HINT = """Notes, kept in {file}. Try:

  curl -i http://127.0.0.1:{port}/notes
  curl -i http://127.0.0.1:{port}/notes -H 'Content-Type: application/json' -d '{{"title": "Milk"}}'
  curl -i 'http://127.0.0.1:{port}/notes?limit=0'

Ctrl-C ends it.
"""


def main() -> None:
    """Prints what to try, then serves."""
    port = int(os.environ.get("PORT", "8000"))
    print(_HINT.format(port=port, file=os.environ.get("DEMO_DATABASE", "demo.db")), flush=True)
    app.run(port=port)


if __name__ == "__main__":
    main()
