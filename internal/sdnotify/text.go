package sdnotify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxStatus keeps a datagram well below the 4096 bytes of which systemd takes
// no more: a longer one is ignored whole, READY=1 and all.
const maxStatus = 1024

func statusLine(text string) string {
	if text == "" {
		return ""
	}
	return "STATUS=" + harmless(text)
}

// harmless makes a text one line of UTF-8. Status may quote what an app has
// printed last: a line of it must not become an assignment such as MAINPID=1,
// an escape sequence not reach a terminal, and systemd refuses what is not
// UTF-8.
func harmless(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), 4*maxStatus)], "\ufffd")
	text = strings.Map(visible, text)
	if len(text) <= maxStatus {
		return text
	}
	end := maxStatus - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func visible(r rune) rune {
	if !unicode.IsGraphic(r) {
		return ' '
	}
	return r
}
