// Package config defines and reads unicorn.toml: each key once, loaded strictly,
// with every fault of a file reported together.
//
// A Config is plain data. Nothing here opens a socket, changes the process or
// starts anything; checking that paths, users and programs exist only looks.
package config
