// Package cgroup finds how much memory the kernel lets this process and those it
// starts have.
package cgroup

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Memory is the least limit in bytes of the control groups that the process is in,
// 0 if there is none, or none that can be read. root is the root of the file system.
// Both versions are understood (cgroups(7)); a container without a cgroup namespace
// sees the names of the host's groups, and its own group at the mount point.
func Memory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case hierarchy == "0" && controllers == "":
			least = min(least, along(root, "sys/fs/cgroup", group, "memory.max"))
			least = min(least, along(root, "sys/fs/cgroup/unified", group, "memory.max"))
		case slices.Contains(strings.Split(controllers, ","), "memory"):
			least = min(least, along(root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	if least >= unlimited {
		return 0
	}
	return least
}

// unlimited is far below what the first version calls no limit: the largest number
// of pages that fits.
const unlimited = 1 << 60

// along is the least limit from a group up to the mount point.
func along(root fs.FS, mount, group, file string) int64 {
	least := int64(math.MaxInt64)
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		least = min(least, limit(root, path.Join(mount, dir, file)))
		if dir == "/" {
			return least
		}
	}
}

func limit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
	if err != nil || n <= 0 {
		return math.MaxInt64
	}
	return n
}
