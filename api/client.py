"""Serves the one-file client of job wrappers."""

from pathlib import Path

from flask import Flask, Response, request

from dynamo.client import client

TYPE = "text/x-python; charset=utf-8"


def register(app: Flask) -> None:
    """Serve `/client.py`: the installed file, read once."""
    text = Path(client.__file__).read_bytes()

    def serve() -> Response:
        answer = Response(text, content_type=TYPE)
        answer.headers["Cache-Control"] = "no-cache"  # may be cached, but is validated each time
        answer.headers["Content-Disposition"] = 'attachment; filename="client.py"'
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    app.add_url_rule("/client.py", "client", serve)
