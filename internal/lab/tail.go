package lab

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// How much is kept of what services, checks and builds print.
const (
	serviceTail = 64 << 10
	checkTail   = 8 << 10
	buildTail   = 16 << 10
)

// tail keeps the end of what is written to it. It may be read while it is written to.
type tail struct {
	limit int

	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.limit {
		t.trim()
	}
	return len(p), nil
}

// trim drops what is too much, up to the end of a line where there is one.
func (t *tail) trim() {
	if len(t.buf) <= t.limit {
		return
	}
	rest := t.buf[len(t.buf)-t.limit:]
	for i, c := range rest {
		if c == '\n' && i+1 < len(rest) {
			rest = rest[i+1:]
			break
		}
	}
	t.buf = append(t.buf[:0], rest...)
}

// String is the end of it, as text.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim()
	s := string(t.buf)
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// lastLine is the last line that is not empty, cut to what can be shown in a line.
func lastLine(s string) string {
	const most = 200
	s = strings.TrimSpace(s)
	s = strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
