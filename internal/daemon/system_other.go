//go:build !linux

package daemon

import "os"

func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func keepName() {}

func hideDescriptors() {}
