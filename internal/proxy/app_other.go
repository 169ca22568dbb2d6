//go:build !linux

package proxy

import "syscall"

// dieWithParent cannot be had: the app ends with its process group.
func dieWithParent() *syscall.SysProcAttr { return nil }
