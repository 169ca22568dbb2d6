"""The test app in Python. Its routes are those of app.js."""
import ctypes
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/python"))
import fugue


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        getattr(self, "at_" + path[1:])(int(query or 0) / 1000)

    do_POST = do_GET

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def at_(self, _):
        self.answer(os.environ.get("VERSION", "hello"))

    def at_pid(self, _):
        self.answer(str(os.getpid()))

    def at_stuck(self, _):
        time.sleep(1e9)  # never answers

    def at_busy(self, _):
        ctypes.PyDLL(None).sleep(1000)  # holds the interpreter: nothing else runs in this process any more

    def at_block(self, seconds):
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # the same for a while
        self.answer("blocked")

    def at_slow(self, seconds):
        time.sleep(seconds)
        self.answer("slow")

    def at_begun(self, _):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"4\r\nsome\r\n")
        time.sleep(1e9)  # and never the rest

    def at_upload(self, _):
        self.answer(str(len(self.rfile.read(int(self.headers["Content-Length"])))))

    def at_events(self, _):
        fugue.running[self].limit = 0
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for n in range(5):
            self.wfile.write(b"data: %d\n\n" % n)
            time.sleep(0.1)

    def at_late(self, seconds):
        time.sleep(seconds)  # and uses its response long after somebody else has answered
        self.answer("x" * (1 << 20))

    def log_request(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("ALONE", 0))), App, bind_and_activate=False)
fugue.serve(server, lambda: os.write(1, b"started %d\n" % fugue.worker_id))
