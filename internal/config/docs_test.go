package config

import (
	"bytes"
	"os"
	"testing"
)

// TestSettingsPage keeps docs/settings.md in step with the keys; -update
// rewrites it.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	const path = "../../docs/settings.md"
	var want bytes.Buffer
	want.WriteString("# Settings\n\nEvery key of `unicorn.toml`. Durations are strings (`\"60s\"`, `\"250ms\"`), so are sizes\n" +
		"(`\"512MiB\"`) and octal modes (`\"0027\"`). Paths are relative to the folder of the file.\n\n")
	if err := WriteMarkdown(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the keys say (%v); run go test ./internal/config -run SettingsPage -update", path, err)
	}
}
