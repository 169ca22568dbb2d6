package worker

// DefaultAddr is where a worker without a master listens.
const DefaultAddr = ":8080"

// Option changes how Serve and Run work.
type Option func(*options)

type options struct {
	addr    string
	started func()
}

// Addr is the TCP address (host:port) to listen on when there is neither a
// master nor LISTEN_FDS. The default is DefaultAddr.
func Addr(a string) Option {
	return func(o *options) { o.addr = a }
}

// Started has f called once, in a goroutine of its own, when the worker is ready.
func Started(f func()) Option {
	return func(o *options) { o.started = f }
}

func apply(opts []Option) options {
	o := options{addr: DefaultAddr}
	for _, set := range opts {
		set(&o)
	}
	return o
}
