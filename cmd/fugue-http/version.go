package main

import (
	"fmt"
	"runtime"

	"github.com/fugue-http/fugue/internal/version"
)

func versionLine() string {
	return fmt.Sprintf("fugue-http %s (%s, %s/%s)", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
