package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// h2cClient begins each connection with HTTP/2.
func h2cClient(t testing.TB) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func fetch(c *http.Client, method, url, body string) (answer string, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2) {
		err = fmt.Errorf("%s over %s: %s", resp.Status, resp.Proto, text)
	}
	return string(text), err
}

// With h2c = true a client may begin with HTTP/2; others go on as before. Reloads
// lose none of the calls of clients that share a connection each: it ends with a
// GOAWAY.
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{"native": "", "plain app behind the proxy": "proxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top, table := "workers = 2\n", app()
			if rest != "" {
				table = plain(`H2C = "1"`)
			}
			s := start(t, top+table+"[http]\nh2c = true\nlinger = \"300ms\"\n")
			s.waitWorkers(2)
			url := "http://" + s.address
			if rest != "" {
				if got, err := fetch(h2cClient(t), "GET", url+"/proto", ""); got != "HTTP/2.0" || err != nil {
					t.Errorf("the app is spoken to in %q, %v", got, err)
				}
				if got := s.get("/proto"); got != "HTTP/1.1" {
					t.Errorf("for a client of HTTP/1.1 the app is spoken to in %q", got)
				}
			}
			s.get("/pid")
			calls := h2cCalls(t, url)
			for range 5 {
				s.ok("reload", s.hup)
				s.settled(2)
			}
			if n := calls(); n < 100 {
				t.Errorf("only %d calls were made", n)
			}
		})
	}
}

// h2cCalls has clients call until the function that it returns is called, which tells
// how many calls were answered. Every other one is a POST, which nobody may send twice.
func h2cCalls(t *testing.T, url string) (end func() int64) {
	var work sync.WaitGroup
	var calls atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		client := h2cClient(t)
		for range 4 {
			work.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					method := []string{"GET", "POST"}[n%2]
					if _, err := fetch(client, method, url+"/version", "x"); err != nil {
						t.Errorf("%s after %d calls: %v", method, n, err)
						return
					}
					calls.Add(1)
				}
			})
		}
	}
	return func() int64 { close(stop); work.Wait(); return calls.Load() }
}
