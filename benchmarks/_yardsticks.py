"""Two servers beside the Python ones, so that their speed can be judged: nginx and node's http.

nginx computes nothing: it sends the right answers to the requests of the benchmark as they were
made beforehand, and cannot count a body. node computes everything that the others do.
"""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

import orjson

from benchmarks._apps import HOST, answer
from reference_server.endpoints import WHOLE_PRICE_ITEMS

NODE_SERVER = Path(__file__).resolve().parent / "peer" / "server.mjs"
# As the scenario json asks for them.
JSON_TARGETS = ((1, 3), (5, 7), (10, 2), (15, 5), (25, 4), (40, 8), (50, 6))
NGINX = """daemon off; worker_processes 1; user {user}; pid {home}/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;
  open_file_cache max=100; default_type text/plain; client_max_body_size 0;
  client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen {host}:{port} backlog=16384; root {home};
    location = /pipeline {{ return 200 ok; }}
    location = /baseline11 {{
      if ($request_method = POST) {{ return 200 75; }}
      return 200 55;
    }}
    location /json/ {{ default_type application/json; try_files $uri-$arg_m =404; }}
    location / {{ return 404; }}
}} }}
"""


def serve_nginx(port: int) -> None:
    """One worker; its files go to the directory for temporary ones, which the caller removes."""
    home = tempfile.mkdtemp()
    (Path(home) / "json").mkdir()
    for count, multiplier in JSON_TARGETS:
        _, _, body = answer("GET", f"/json/{count}", b"m=%d" % multiplier, b"")
        (Path(home) / "json" / f"{count}-{multiplier}").write_bytes(body)
    config = Path(home) / "nginx.conf"
    # As root its worker would be another user, who may not read the files.
    config.write_text(NGINX.format(home=home, host=HOST, port=port, user=getpass.getuser()))
    os.execvp("nginx", ["nginx", "-c", str(config)])


def serve_node(port: int) -> None:
    """One process, as node runs a script."""
    items = Path(tempfile.mkdtemp()) / "items.json"
    items.write_bytes(orjson.dumps(WHOLE_PRICE_ITEMS))
    os.execvp("node", ["node", str(NODE_SERVER), HOST, str(port), str(items)])
