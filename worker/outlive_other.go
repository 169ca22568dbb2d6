//go:build !linux

package worker

func outliveMaster() {} // no such signal
