// Package sdnotify tells the supervisor that started the master how it is:
// sd_notify(3), as systemd understands it for Type=notify and
// Type=notify-reload, and as other supervisors do that set NOTIFY_SOCKET.
//
// A Sender belongs to the one goroutine that calls it, the master's loop. It
// never makes that wait, and nothing that goes wrong here is worth a failure:
// what the supervisor cannot take now is kept and sent with the next call, in
// its order, and what cannot be sent at all is counted and dropped.
//
// The supervisor counts on this: each HUP that it sends is followed by
// Reloading, with a later time, and then by Ready, also when the file is bad or
// the reload has failed. Otherwise `systemctl reload` waits until its time is
// up.
//
// MAINPID is never sent. The master keeps its process id through every upgrade,
// for it executes its successor in place. That calls New again, with the same
// environment; so the variables stay where they are, and workers are given an
// environment without them (package master).
package sdnotify
