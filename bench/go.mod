module github.com/fugue-http/fugue/bench

go 1.26.0

replace github.com/fugue-http/fugue => ..

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/fugue-http/fugue v0.0.0-00010101000000-000000000000
	github.com/valyala/fasthttp v1.77.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/felixge/httpsnoop v1.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
)
