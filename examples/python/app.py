"""A small server to copy from: fugue-http -c unicorn.toml, or alone: python3 app.py"""
import ctypes
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fugue


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_GET(self):
        if self.path == "/stuck":
            time.sleep(1e9)  # a bug
        if self.path == "/busy":
            ctypes.PyDLL(None).sleep(1000)  # a worse one: C code that keeps the interpreter, so nothing else runs
        if self.path == "/slow":
            time.sleep(3)
        body = f"Hello from worker {fugue.worker_id}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *args):
        pass  # no access log


fugue.serve(ThreadingHTTPServer(("127.0.0.1", 8080), Hello, bind_and_activate=False))
