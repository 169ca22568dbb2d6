"""A worker that floods its notify socket, by itself or through a child (MODE), and says once that it is ready."""
import os
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())


def tell(text, times):
    """tell sends text without waiting for room, 0 = for ever, and gets there all the same."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
    n = 0
    while not times or n < times:
        s.send(text.encode())
        n += 1


if len(sys.argv) > 1:
    tell(sys.argv[1], 0)
mode = os.environ["MODE"]
if mode == "forged":  # the child has this process's environment, user and group, and another pid
    subprocess.Popen([sys.executable, __file__, "READY=1\nSTOPPING=1\nWATCHDOG=1\nSTATUS=forged"])
    while not os.path.exists("go"):
        time.sleep(0.05)
tell("READY=1", 1)
if mode == "own":
    if os.fork() == 0:  # serves meanwhile
        mode = ""
    else:
        tell("STATUS=" + "x" * 3000, 0)
server = HTTPServer(("", 0), App, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
