// Package proxy is the worker of a plain HTTP server that knows nothing of fugue
// (app.proxy): the worker starts the server as its child on a private address and
// forwards requests to it, so that the watch, the drain and the beats are those
// of any native worker.
//
// The pair lives and dies together: the kernel kills the app when the worker is
// gone, and the worker leaves when the app has ended. Nothing here starts the app
// a second time; that is the master's to decide.
package proxy
