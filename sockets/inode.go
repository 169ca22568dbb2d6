package sockets

import (
	"io/fs"
	"syscall"
)

// inode tells a file from all others for as long as somebody has it open: a
// bound socket holds its inode, so the number cannot be given to another file.
// Unlike an fs.FileInfo it can be written down, see State.
type inode struct{ dev, ino uint64 }

func inodeOf(info fs.FileInfo) inode {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{} // not from the file system: no file's number
	}
	return inode{uint64(st.Dev), st.Ino} // dev has another type on each system
}
