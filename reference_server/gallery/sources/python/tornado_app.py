"""The contract in Tornado, one process, as its documentation begins: python tornado_app.py PORT."""

from __future__ import annotations

import asyncio
import sys

from tornado.web import Application, RequestHandler

from reference_server.endpoints import query_sum


class Pipeline(RequestHandler):
    """The shortest answer there is."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write("ok")


class Baseline(RequestHandler):
    """The sum of the query's values and the body."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write(str(query_sum(self.request.query.encode()) + int(self.request.body or b"0")))

    post = get


async def main(port: int) -> None:
    """Serves until it is ended."""
    Application([("/pipeline", Pipeline), ("/baseline11", Baseline)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
