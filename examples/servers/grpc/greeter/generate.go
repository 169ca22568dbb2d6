// Package greeter is what protoc makes of greeter.proto.
package greeter

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative greeter.proto
