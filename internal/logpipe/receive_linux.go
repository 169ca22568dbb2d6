package logpipe

import "golang.org/x/sys/unix"

// receiveFlags keep received descriptors out of children.
const receiveFlags = unix.MSG_CMSG_CLOEXEC
