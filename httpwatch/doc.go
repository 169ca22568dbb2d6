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
// Over HTTP/1 the connection is half closed behind the 504, so that no client
// waits for more. Over HTTP/2 the client has status and body at once, but a
// stream ends only when its handler returns; if that takes longer than a second,
// the stream is reset. Its neighbours on the connection go on.
//
// While a handler waits for a slow client its clock stands still; those waits
// have limits of their own and end with the connection closed (or the stream
// reset), without an incident. Progress is what counts: a byte that arrives, or
// is acknowledged, starts the wait anew.
//
// One mutex guards the table of requests and one the incidents to be reported.
// Each request has one that guards its writer, held by the handler while it
// writes and by the watch while it answers in the handler's place, and one that
// keeps a cut from a response that is over. A writer's is taken before the
// others. Handlers stay on their own goroutine: panics keep their stack and
// behave as in net/http. Writes after the timeout return
// http.ErrHandlerTimeout.
//
// A Watch belongs next to the server, inside of no other middleware: a writer
// that compresses or counts cannot know that somebody else answers. What a
// client receives from handlers in time is what it receives without the watch.
// One thing is different: http.MaxBytesReader cannot tell the server to close the
// connection; the watch does when the handler answers 413.
package httpwatch
