// Package fugue turns a Go program into a master with preforked workers: the
// process that calls Start first becomes the master, which runs the program
// again for each worker; in those, Start serves.
//
//	func main() {
//		srv := &http.Server{Handler: handler}
//		if err := fugue.Start(srv, fugue.Options{Listen: []string{":8080"}}); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// Any server with a Serve(net.Listener) error method will do. What stands in
// main before Start runs in the master and again in every worker; what must
// happen once belongs under IsMaster. The master holds the listeners, replaces
// workers that die or fall silent, and obeys the signals and the control socket
// of fugue-http; workers leave when the master is gone.
//
// A program that is run by the fugue-http command rather than by itself uses
// package worker instead.
//
// Importing this package adds an init function that acts only in processes the
// master starts, before main: it drops rights and prepares the process.
package fugue
