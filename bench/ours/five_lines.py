# The first API of a newcomer, five lines and the bench's port; what it holds in memory is measured.
import os

from apifrom import API, api

app = API()


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict:
    return {"message": f"Hello, {name}!"}


app.run(port=int(os.environ["PORT"]))
