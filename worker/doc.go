// Package worker is the worker's side of fugue-http: it takes the listeners the
// master opened, says when the app is ready, beats, obeys, and leaves without
// losing a request.
//
//	func main() {
//		if err := worker.Serve(handler); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// Serve is for an http.Handler, Run for any server, Listeners, Ready and
// Draining for apps that do it themselves. Without a master the same program
// serves alone, so that `go run ./app` works.
//
// The first call of any function here attaches the process to its master: the
// descriptors it was given become close-on-exec, the variables that name them
// are unset, and three goroutines start. Each owns one thing and ends with it:
// beat the heartbeat pipe (until the master closes it), obey the command socket
// (until its EOF), heed the signals (with the process). They change the worker
// in four ways only: drain, becomeLast, stop, orphan; these close channels and
// never wait.
//
// What never happens here: a write to the pipe that blocks; a descriptor of a
// shared listener made blocking; the path of a Unix socket unlinked; SIGABRT
// trapped (the master sends it for the stacks that the Go runtime prints).
//
// All functions may be called from any goroutine.
package worker
