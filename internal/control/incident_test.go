package control

import (
	"encoding/json"
	"testing"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	const text = "a\tb\x1b[2J\u009b1m\x00\x7f\r\n\u202e\u2028\U000e0041\xff é 漢"
	if got, want := Printable(text), "a\tb?[2J?1m????????"+" é 漢"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

// JSON keeps its meaning; only how it is written changes.
func TestPrintableJSON(t *testing.T) {
	t.Parallel()
	const text = "a\tb\x1b[2J\u009b1m\x00\x7f\r\n\u202e\u2028\U000e0041 é 漢 😀 \\u009b"
	encoded, err := json.MarshalIndent(map[string]string{text: text}, "", "\t")
	must(t, err)
	shown := PrintableJSON(encoded)
	if got := string(shown); got != "{\n\t"+Printable(got[3:len(got)-2])+"\n}" {
		t.Errorf("%q has what is not printable", got)
	}
	var back map[string]string
	if err := json.Unmarshal(shown, &back); err != nil || len(back) != 1 || back[text] != text {
		t.Errorf("%q, %v", back, err)
	}
}
