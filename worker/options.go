package worker

// DefaultAddr is where a worker without a master listens.
const DefaultAddr = ":8080"

// Option changes how Serve and Run work.
type Option func(*options)

type options struct{ addr string }

// Addr is the TCP address (host:port) to listen on when there is neither a
// master nor LISTEN_FDS. The default is DefaultAddr.
func Addr(a string) Option {
	return func(o *options) { o.addr = a }
}

func apply(opts []Option) options {
	o := options{addr: DefaultAddr}
	for _, set := range opts {
		set(&o)
	}
	return o
}
