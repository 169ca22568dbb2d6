import os

big = b"\0" * (1 << 20)


def application(environ, start_response):
    body = big if environ["PATH_INFO"] == "/big" else b"hello from %d\n" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
