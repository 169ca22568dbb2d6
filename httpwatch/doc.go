// Package httpwatch is net/http middleware that knows every request in flight
// and lets none outlive its limit.
//
// A request that exceeds its timeout is answered with a complete 504 at once,
// though its handler still runs; if part of a response has been sent already the
// connection is cut instead. Its context is cancelled with the cause ErrTimeout,
// the stack of exactly its goroutine is taken, and an Incident is reported. The
// neighbours of the request notice nothing: nothing is killed here. Whoever runs
// the process decides what becomes of it (package worker tells its master).
//
// While a handler waits for a slow client its clock stands still; those waits
// have limits of their own and end with the connection closed, without an
// incident.
//
// The one mutex of the package guards the table of requests; each request has
// one more that guards its writer, held by the handler while it writes and by
// the watch while it answers in the handler's place. Handlers stay on their own
// goroutine: panics keep their stack and behave as in net/http. Writes after the
// timeout return http.ErrHandlerTimeout.
package httpwatch
