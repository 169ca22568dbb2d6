package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFolderIsPrivateAndGoes(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	f, err := newFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	f.remove()
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestFoldersOfTheDeadAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	living, err := newFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer living.remove()
	dead := filepath.Join(parent, folderPrefix+"1")
	other := filepath.Join(parent, "app-data")
	for _, dir := range []string{dead, other} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(parent, folderPrefix+"link")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	second, err := newFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer second.remove()
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead one's is still there")
	}
	for _, path := range []string{living.path, second.path, other + "/sub", link} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestFolderElsewhere(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, parent := range map[string]string{"too long": long, "not there": "/nowhere/at/all"} {
		f, err := newFolder(parent)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if filepath.Dir(f.path) != filepath.Clean(os.TempDir()) || len(f.socket()) > maxSocket {
			t.Errorf("%s: made %s", name, f.path)
		}
		f.remove()
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]rule{"auto": {}, "2s": {alive: 2e9}, "http:///up?x=1": {path: "/up?x=1"}} {
		s, err := readSettings(`{"watch":{"timeout":7},"proxy":{"ready":"` + text + `","stop_signal":3,"tmp":"/t"}}`)
		if err != nil || s.ready != want || s.signal != 3 || s.tmp != "/t" || s.limit != 7 {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
	if s, err := readSettings(""); err != nil || s.ready != (rule{}) || s.signal != 15 {
		t.Errorf("alone: %+v, %v", s, err)
	}
	for _, bad := range []string{"{", `{"proxy":{"ready":"soon"}}`} {
		if _, err := readSettings(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
