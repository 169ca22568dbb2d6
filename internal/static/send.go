package static

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// More parts than any real client asks for. Each costs about 150 bytes of
// header, so without a limit 64 KiB of "0-0,2-2,…" would be answered with
// megabytes, from a file of a few kilobytes.
const maxRanges = 16

func (h *handler) send(w http.ResponseWriter, r *http.Request, name string) error {
	f, info, err := h.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only: nothing can be lost
	w.Header().Set("Content-Type", contentType(name))
	changed := changedAt(info)
	if !changed.IsZero() {
		w.Header().Set("ETag", etag(info))
	}
	// ServeContent is given the *os.File itself: only so does net/http use sendfile.
	http.ServeContent(w, boundRanges(r), "", changed, f)
	return nil
}

// changedAt is when the file was modified, or zero if its date says nothing:
// reproducible builds (Nix, OSTree) set it to 0 or 1, and there two versions of
// the same size would be taken for one.
func changedAt(info os.FileInfo) time.Time {
	if info.ModTime().Unix() <= 1 {
		return time.Time{}
	}
	return info.ModTime()
}

// etag is made of size and modification time, like that of nginx but to the
// nanosecond. It is declared strong, which If-Range demands, though two edits
// within one tick of the file system's clock (some milliseconds) that keep the
// size are not told apart. Without the inode, so that copies on several machines
// made by rsync -t agree.
func etag(info os.FileInfo) string {
	return fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
}

// boundRanges hides a Range with too many parts: the client gets the whole file,
// as RFC 9110 (14.2) allows. ServeContent does so itself when the parts together
// are larger than the file.
func boundRanges(r *http.Request) *http.Request {
	if strings.Count(r.Header.Get("Range"), ",") < maxRanges {
		return r
	}
	whole := *r
	whole.Header = r.Header.Clone()
	whole.Header.Del("Range")
	return &whole
}
