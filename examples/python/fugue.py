"""A server of Python's socketserver as a worker of fugue-http, or alone without a master; see docs/apps.md. Python 3.8 on."""
import contextlib, errno, faulthandler, http.client, http.server, json, os, selectors, signal, socket
import socketserver, sys, threading, time, traceback, types
env, now, parent, suppress = os.environ, time.monotonic, os.getppid(), contextlib.suppress
worker = env.get("LISTEN_PID") == str(os.getpid()) and "FUGUE_PIPE_FD" in env
worker_id, fds = (int(env["FUGUE_WORKER_ID"]), range(3, 3 + int(env["LISTEN_FDS"]))) if worker else (0, [])
alone = {"beat_every": 1e9, "worker_kill_timeout": 3e10, "watch": {"timeout": 0}, "http": {"linger": 2e9}}
settings = json.loads(env["FUGUE_SETTINGS"]) if worker else alone  # its times are nanoseconds
every, timeout, linger = settings["beat_every"] / 1e9, settings["watch"]["timeout"] / 1e9, settings["http"]["linger"] / 1e9
connections, running, lock = {}, {}, threading.Lock()  # since when each is at rest, or None; the requests, by handler
state = types.SimpleNamespace(draining=None, again=None, answered=0, overdue=0, seen=now(), beaten=0)
def say(kind, **fields):  # never waits for the master: a full pipe takes none of a line of at most 4096 bytes
    try: worker and os.write(int(env["FUGUE_PIPE_FD"]), json.dumps({"type": kind, **fields}).encode() + b"\n")
    except OSError as err: err.errno == errno.EPIPE and not state.draining and drain()  # the master is gone
class Watched:  # is put before the handler's own class, if that is one for HTTP
    def parse_request(self):
        connections[self.connection] = None
        if not super().parse_request(): return False
        return running.setdefault(self, types.SimpleNamespace(id=str(time.monotonic_ns()), thread=threading.get_ident(),
                                                              start=now(), age=0, limit=timeout, begun=False, stuck=False))
    def end_headers(self):
        if state.draining: self.send_header("Connection", "close")
        with lock: running.get(self, state).begun = True
        super().end_headers()
    def handle_one_request(self):
        try: super().handle_one_request()
        finally:
            with lock: r = running.pop(self, None)
            connections[self.connection], state.answered = now(), state.answered + (r is not None)
            if r and r.stuck: say("recovered", id=r.id)
def look():  # at every tick
    since, state.seen, frames = state.seen, now(), sys._current_frames()
    for handler, r in list(running.items()):
        waits = r.thread in frames and getattr(frames[r.thread].f_locals.get("self"), "_sock", None) is handler.connection
        r.age += 0 if waits else state.seen - max(since, r.start)  # its clock stands still while it waits for its client
        if 0 < r.limit <= r.age and not r.stuck: overdue(handler, r, "".join(traceback.format_stack(frames.get(r.thread))))
    if state.seen - state.beaten < 0.9 * every: return
    all, state.beaten = list(running.values()), state.seen
    say("beat", in_flight=len(all), oldest_ms=int(1000 * max([now() - r.start for r in all], default=0)),
        stuck=sum(r.stuck for r in all), connections=len(connections), requests=state.answered, timed_out=state.overdue)
def overdue(handler, r, stack):
    with lock:
        if handler not in running: return
        status = 0 if r.begun else settings["watch"]["status"]
        text, r.stuck, state.overdue = f"{status} {http.client.responses.get(status)}", True, state.overdue + 1
        say("overdue", id=r.id, method=handler.command, path=handler.path[:200], status=status, stack=stack[-2000:],
            remote="%s:%s" % handler.client_address[:2], age_ms=int(1000 * r.age))
        answer = f"HTTP/1.1 {text}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}" if status else ""
        with suppress(OSError): handler.connection.send(answer.encode(), socket.MSG_DONTWAIT)
        with suppress(OSError): handler.connection.shutdown(socket.SHUT_RDWR)
def drain(*_):
    state.draining, state.again = state.draining or now(), state.draining and now()
    say("draining")
def over(server, selector):  # of a drain
    for listener in [key.fileobj for key in selector.get_map().values()]:
        for _ in range(1024): take(server, listener)  # the queue first
        selector.unregister(listener), listener.close()
    for conn in [c for c, since in list(connections.items()) if since and now() - max(since, state.draining) >= linger]:
        with suppress(OSError): conn.shutdown(socket.SHUT_RD)  # what has arrived is still read, and answered
    if state.again and now() - state.again > 1 and os.getppid() == parent: os._exit(0)  # told twice, see docs/apps.md
    if now() - state.draining > settings["worker_kill_timeout"] / 1e9: os._exit(1)  # a master that is gone cannot see to it
    return not set(list(connections)) - {handler.connection for handler, r in list(running.items()) if r.stuck}
def take(server, listener):
    with suppress(OSError):  # another worker has been quicker
        conn, address = listener.accept()
        connections[conn] = now() if issubclass(server.RequestHandlerClass, Watched) else None
        serve = lambda: socketserver.ThreadingMixIn.process_request_thread(server, conn, address or ("unix socket", 0))
        threading.Thread(target=lambda: (serve(), connections.pop(conn)), daemon=True).start()
def serve(server, started=lambda: None):
    if issubclass(server.RequestHandlerClass, http.server.BaseHTTPRequestHandler):
        server.RequestHandlerClass = type("Worker", (Watched, server.RequestHandlerClass), {})
    if not worker: server.server_bind(), server.server_activate(), server.socket.setblocking(False)
    selector, tick = selectors.DefaultSelector(), max(0.01, min(every, (timeout or 20 * every) / 20))
    for s in [socket.socket(fileno=fd) for fd in fds] or [server.socket]: selector.register(s, selectors.EVENT_READ)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT): signal.signal(number, drain)
    faulthandler.enable(), say("ready"), started()  # a silent worker gets SIGABRT, and prints the stacks of its threads
    while not (state.draining and over(server, selector)):
        for key, _ in selector.select(0.05 if state.draining else tick): take(server, key.fileobj)
        if state.draining or now() - state.seen >= tick: look()
say("hello")  # the master waits for the ready
