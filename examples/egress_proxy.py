"""A proxy outside of a sandbox that adds the API keys: the sandbox has its address, and a placeholder for a key.

ANTHROPIC_API_KEY=... OPENAI_API_KEY=... python examples/egress_proxy.py --port 8080 [--cert FILE --key FILE]

In the sandbox: ANTHROPIC_BASE_URL=http://HOST:8080/anthropic, OPENAI_BASE_URL=http://HOST:8080/openai/v1, and
ANTHROPIC_API_KEY=placeholder, OPENAI_API_KEY=placeholder. With a certificate it speaks https; SSL_CERT_FILE in the
sandbox names the authority. Only the paths of model calls are passed on, and answers as they come.
"""

from __future__ import annotations

import argparse
import http.client
import os
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "host",
    "content-length",
    "authorization",
    "x-api-key",
}
PATHS = {
    "/anthropic": ("/v1/messages",),
    "/openai": ("/v1/responses", "/v1/chat/completions"),
}


@dataclass(frozen=True)
class Upstream:
    """Where a prefix leads, and the header with the key."""

    url: str
    header: str
    value: str


def upstreams() -> dict[str, Upstream]:
    """Return the places by their prefixes; `*_UPSTREAM` in the environment leads to another one."""
    anthropic = os.environ.get("ANTHROPIC_UPSTREAM", "https://api.anthropic.com")
    openai = os.environ.get("OPENAI_UPSTREAM", "https://api.openai.com")
    return {
        "/anthropic": Upstream(anthropic, "x-api-key", os.environ.get("ANTHROPIC_API_KEY", "")),
        "/openai": Upstream(openai, "authorization", f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"),
    }


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, with the key, and its answer back piece by piece."""

    protocol_version = "HTTP/1.1"
    upstreams: dict[str, Upstream]

    def do_POST(self) -> None:
        """Pass a model call on."""
        prefix = "/" + self.path.split("/")[1]
        path = self.path.removeprefix(prefix)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if urlsplit(path).path not in PATHS.get(prefix, ()):
            self.send_error(403, "not the path of a model call")
            return
        upstream = self.upstreams[prefix]
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        url = urlsplit(upstream.url)
        connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = connect(url.netloc, timeout=600)
        try:
            connection.request("POST", url.path + path, body, {**headers, upstream.header: upstream.value})
            self._answer(connection.getresponse())
        except OSError as error:
            self.close_connection = True
            self.log_error("%s: %s", upstream.url, error)
        finally:
            connection.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(1 << 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    Handler.upstreams = upstreams()
    server = ThreadingHTTPServer((options.host, options.port), Handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
