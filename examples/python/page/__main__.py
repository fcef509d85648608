"""Serves the page on 127.0.0.1:8000, or the port in `PORT`."""

from __future__ import annotations

import os

from examples.python.page.app import app

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
