"""The contract in Flask: for its development server."""

from __future__ import annotations

from flask import Flask, Response, request

from reference_server.endpoints import query_sum

app = Flask(__name__)


def plain(text: str) -> Response:
    """An answer of text."""
    return Response(text, content_type="text/plain")


@app.get("/pipeline")
def pipeline() -> Response:
    """The shortest answer there is."""
    return plain("ok")


@app.route("/baseline11", methods=["GET", "POST"])
def baseline() -> Response:
    """The sum of the query's values and the body."""
    body = request.get_data() if request.method == "POST" else b"0"
    return plain(str(query_sum(request.query_string) + int(body)))


@app.post("/upload")
def upload() -> Response:
    """How many bytes of the body were read."""
    received = 0
    while piece := request.stream.read(64 * 1024):
        received += len(piece)
    return plain(str(received))
