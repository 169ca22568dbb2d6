package logpipe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestALineIsNotSplitOverTwoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	s := &sink{fd: open(t, a), warn: os.Stderr}
	s.take([]byte("one\nhalf of "))
	s.change(open(t, b))
	s.take([]byte("two"))
	s.take([]byte(" words\nthree\n"))
	s.take([]byte("four\n"))
	if got := read(t, a); got != "one\nhalf of two words\n" {
		t.Errorf("first file %q", got)
	}
	if got := read(t, b); got != "three\nfour\n" {
		t.Errorf("second file %q", got)
	}
}

func TestBetweenLinesTheChangeIsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	s := &sink{fd: open(t, a), warn: os.Stderr}
	s.take([]byte("one\n"))
	s.change(open(t, b))
	s.take([]byte("two\n"))
	if read(t, a) != "one\n" || read(t, b) != "two\n" {
		t.Errorf("files %q, %q", read(t, a), read(t, b))
	}
}

func TestAFullDiskIsSaidOnceAndCounted(t *testing.T) {
	t.Parallel()
	full, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	var said bytes.Buffer
	s := &sink{fd: full, warn: &said}
	s.take([]byte("one\ntwo\n"))
	s.take([]byte("three\n"))
	if n := strings.Count(said.String(), "\n"); n != 1 || s.lost != 3 {
		t.Errorf("%d warnings %q, %d lines lost", n, said.String(), s.lost)
	}
	path := filepath.Join(t.TempDir(), "log")
	s.change(open(t, path)) // the disk has room again and logs are rotated
	s.take([]byte("four\n"))
	if got := read(t, path); got != "four\n" {
		t.Errorf("after the change %q", got)
	}
}

func TestARingStartsOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ring")
	s := &sink{fd: open(t, path), ring: true, warn: os.Stderr}
	for i := range 3 * RingBytes / 10 {
		s.take(fmt.Appendf(nil, "%09d\n", i))
	}
	if size := len(read(t, path)); size > RingBytes+10 {
		t.Errorf("the ring holds %d bytes", size)
	}
}
