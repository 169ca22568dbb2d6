package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// contender is a server that can be measured.
type contender struct {
	name    string
	workers int
	needs   string // a program that has to be installed
	options string // of ours: lines for its [[listener]]

	start func(l *lab, c contender, address string) (*server, error)
}

func (c contender) with(workers int) contender {
	c.workers = workers
	c.name = fmt.Sprintf("%s, %d workers", c.name, workers)
	return c
}

// of is the same with another number of workers, and under the same name.
func (c contender) of(workers int) contender {
	c.workers = workers
	return c
}

// missing says why c cannot be measured here.
func (c contender) missing() string {
	if c.needs == "" {
		return ""
	}
	if _, err := exec.LookPath(c.needs); err != nil {
		return c.needs + " is not installed"
	}
	return ""
}

var (
	ours = contender{name: "fugue-http", workers: 2, start: startFugue}

	plain    = contender{name: "net/http, one process", start: startPeer("plain")}
	plainOne = contender{name: "net/http, one process, GOMAXPROCS=1", start: startPeer("plain", "GOMAXPROCS=1")}
	naive    = contender{name: "naive Go prefork", workers: 2, start: startPeer("prefork")}
	fasthttp = contender{name: "fasthttp prefork", workers: 2, start: startPeer("fasthttp")}
	unicorn  = contender{name: "Unicorn", workers: 2, needs: "unicorn", start: startUnicorn}
	nginx    = contender{name: "nginx", workers: 2, needs: "nginx", start: startNginx}
	puma     = contender{name: "Puma", workers: 2, needs: "puma", start: startPuma}
	gunicorn = contender{name: "gunicorn", workers: 2, needs: "gunicorn", start: startGunicorn}
	uwsgi    = contender{name: "uWSGI", workers: 2, needs: "uwsgi", start: startUWSGI}
	node     = contender{name: "Node.js cluster", workers: 2, needs: "node", start: startNode}
)

// startFugue runs the app under the master, with everything at its default. more
// is added to the file.
func startFugue(l *lab, c contender, address string) (*server, error) { return l.fugue(c, address, "") }

func (l *lab) fugue(c contender, address, more string) (*server, error) {
	return l.fugueWith(c, address, more, "")
}

func (l *lab) fugueWith(c contender, address, more, app string) (*server, error) {
	text := fmt.Sprintf("listen = []\nworkers = %d\ncontrol_path = %q\n%s\n[[listener]]\naddress = %q\n%s\n[app]\ncommand = [%q]\n%s\n",
		c.workers, l.controlPath(c), more, address, c.options, l.program("app"), app)
	file, err := l.write(c.name+".toml", text)
	if err != nil {
		return nil, err
	}
	return l.launch(c.name, address, nil, l.program("fugue-http"), "-c", file)
}

// listening is ours with other options of the listener.
func listening(name, options string) contender {
	return contender{name: name, workers: 2, options: options, start: startFugue}
}

// set is ours with lines for the end of the file, which is its table [app].
func set(name, lines string) contender {
	return contender{name: name, workers: 2, start: func(l *lab, c contender, address string) (*server, error) {
		return l.fugueWith(c, address, "", lines)
	}}
}

func (l *lab) controlPath(c contender) string {
	return filepath.Join(l.dir, "control "+c.name)
}

func startPeer(kind string, env ...string) func(*lab, contender, string) (*server, error) {
	return func(l *lab, c contender, address string) (*server, error) {
		return l.launch(c.name, address, env, l.program("peer"), kind, address, strconv.Itoa(max(c.workers, 1)))
	}
}

func (l *lab) peerFile(name string) string { return filepath.Join(l.src, "peers", name) }

func startUnicorn(l *lab, c contender, address string) (*server, error) {
	listen := address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		listen = path
	}
	file, err := l.write("unicorn.rb", fmt.Sprintf("worker_processes %d\nlisten %q, backlog: 1024\npreload_app true\n", c.workers, listen))
	if err != nil {
		return nil, err
	}
	return l.launch(c.name, address, []string{"RACK_ENV=none"}, "unicorn", "-c", file, "-E", "none", l.peerFile("config.ru"))
}

func startPuma(l *lab, c contender, address string) (*server, error) {
	bind := "tcp://" + address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		bind = "unix://" + path
	}
	return l.launch(c.name, address, []string{"RACK_ENV=none"}, "puma", "-q", "-e", "none", "-w", strconv.Itoa(c.workers), "-t", "1:5",
		"--preload", "-b", bind, l.peerFile("config.ru"))
}

func startNginx(l *lab, c contender, address string) (*server, error) {
	text := fmt.Sprintf(`worker_processes %d; daemon off; pid %s/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000000; client_body_temp_path %[2]s; proxy_temp_path %[2]s;
	fastcgi_temp_path %[2]s; uwsgi_temp_path %[2]s; scgi_temp_path %[2]s; default_type text/plain;
	server {
		listen %[3]s backlog=1024;
		location / { return 200 "hello from nginx, worker\n"; }
		location /big { alias %[2]s/big; }
	}
}
`, c.workers, l.dir, address)
	if _, err := l.write("big", strings.Repeat("\x00", 1<<20)); err != nil {
		return nil, err
	}
	file, err := l.write("nginx.conf", text)
	if err != nil {
		return nil, err
	}
	return l.launch(c.name, address, nil, "nginx", "-c", file)
}

func startGunicorn(l *lab, c contender, address string) (*server, error) {
	return l.launch(c.name, address, nil, "gunicorn", "-w", strconv.Itoa(c.workers), "-b", address, "--backlog", "1024",
		"--log-level", "error", "--chdir", filepath.Join(l.src, "peers"), "app:application")
}

func startUWSGI(l *lab, c contender, address string) (*server, error) {
	return l.launch(c.name, address, nil, "uwsgi", "--plugin", "python3", "--http-socket", strings.TrimPrefix(address, "unix:"),
		"--master", "--die-on-term", "--processes", strconv.Itoa(c.workers), "--listen", "1024", "--disable-logging",
		"--need-app", "--chdir", filepath.Join(l.src, "peers"), "--wsgi-file", "app.py")
}

func startNode(l *lab, c contender, address string) (*server, error) {
	return l.launch(c.name, address, nil, "node", l.peerFile("app.js"), address, strconv.Itoa(c.workers))
}
