"""A proxy outside of a sandbox that adds the API keys: the sandbox has its address, and a placeholder for a key.

ANTHROPIC_API_KEY=... OPENAI_API_KEY=... python examples/egress_proxy.py --port 8080 [--cert FILE --key FILE]

In the sandbox: ANTHROPIC_BASE_URL=http://HOST:8080/anthropic, OPENAI_BASE_URL=http://HOST:8080/openai/v1, and
ANTHROPIC_API_KEY=placeholder, OPENAI_API_KEY=placeholder. Bedrock and Foundry have the same, with /bedrock in
ANTHROPIC_BEDROCK_BASE_URL and /foundry in ANTHROPIC_FOUNDRY_BASE_URL; the proxy has to know where they are, by
BEDROCK_UPSTREAM and FOUNDRY_UPSTREAM. With a certificate it speaks https; SSL_CERT_FILE in the sandbox names the
authority. Only the paths of model calls are passed on, and answers as they come.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
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
    "api-key",
}
PATHS = {
    "/anthropic": r"/v1/messages",
    "/openai": r"/v1/(responses|chat/completions)",
    "/bedrock": r"/model/[^/]+/invoke-with-response-stream",
    "/foundry": r"/v1/messages",
}


@dataclass(frozen=True)
class Upstream:
    """Where a prefix leads, and the header with the key."""

    url: str
    header: str
    value: str


def upstreams() -> dict[str, Upstream]:
    """Return the places by their prefixes; `*_UPSTREAM` in the environment leads to another one."""
    env = os.environ
    found = {
        "/anthropic": Upstream(
            env.get("ANTHROPIC_UPSTREAM", "https://api.anthropic.com"),
            "x-api-key",
            env.get("ANTHROPIC_API_KEY", ""),
        ),
        "/openai": Upstream(
            env.get("OPENAI_UPSTREAM", "https://api.openai.com"),
            "authorization",
            f"Bearer {env.get('OPENAI_API_KEY', '')}",
        ),
        "/bedrock": Upstream(
            env.get("BEDROCK_UPSTREAM", ""),
            "authorization",
            f"Bearer {env.get('AWS_BEARER_TOKEN_BEDROCK', '')}",
        ),
        "/foundry": Upstream(
            env.get("FOUNDRY_UPSTREAM", ""), "x-api-key", env.get("ANTHROPIC_FOUNDRY_API_KEY", "")
        ),
    }
    return {prefix: upstream for prefix, upstream in found.items() if upstream.url}


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, with the key, and its answer back piece by piece."""

    protocol_version = "HTTP/1.1"
    upstreams: dict[str, Upstream]

    def do_POST(self) -> None:
        """Pass a model call on."""
        prefix = "/" + self.path.split("/")[1]
        path = self.path.removeprefix(prefix)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = self.upstreams.get(prefix)
        if upstream is None or not re.fullmatch(PATHS[prefix], urlsplit(path).path):
            self.send_error(403, "not the path of a model call")
            return
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
