package proxy

import "syscall"

// dieWithParent has the kernel kill the app when this process is gone, whatever
// the reason.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
