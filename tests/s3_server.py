"""An S3 store on loopback (moto), behind a proxy that can be told to misbehave."""

import http.client
import socket
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from moto.server import ThreadedMotoServer

BUCKET = "bucket"


class Proxy(ThreadingHTTPServer):
    """Passes requests on, unless `fault(method, path)` names something else to do.

    Faults: "500", "slow" (no answer for 30 s), "reset" (the connection breaks before the
    request is passed on), "lost" (it is passed on, then the connection breaks).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = port
        self.requests = []
        self.fault = lambda method, path: None
        self.stopping = threading.Event()

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _pass(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        self.server.requests.append((self.command, self.path))
        fault = self.server.fault(self.command, self.path)
        if fault == "500":
            return self._answer(500, {"Content-Type": "application/xml"}, _ERROR)
        if fault == "slow":
            self.server.stopping.wait(30)
            return self._reset()
        if fault == "reset":
            return self._reset()
        headers = {k: v for k, v in self.headers.items() if k != "Transfer-Encoding"}
        headers["Content-Length"] = str(len(body))
        inner = http.client.HTTPConnection("127.0.0.1", self.server.backend, timeout=30)
        inner.request(self.command, self.path, body, headers)
        answer = inner.getresponse()
        data = answer.read()
        inner.close()
        if fault == "lost":
            return self._reset()
        self._answer(answer.status, dict(answer.getheaders()), data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

    def _chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _answer(self, status, headers, data):
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = headers.get("Content-Length", len(data)) if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


_ERROR = (
    b'<?xml version="1.0"?><Error><Code>InternalError</Code>'
    b"<Message>We encountered an internal error. Please try again.</Message></Error>"
)


@contextmanager
def s3_server():
    """Start the store and its proxy; yield the proxy."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    proxy = Proxy(moto.get_host_and_port()[1])
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        proxy.shutdown()
        proxy.server_close()
        thread.join()
        moto.stop()
