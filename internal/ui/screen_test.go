package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// screen is a terminal of a fixed size that knows what the display may write and fails on anything else.
type screen struct {
	cols, rows int
	lines      [][]string // cells; those that scrolled away stay at the front
	x, y       int        // y counts from the first line ever
	top        int        // the first line that is on the screen
	hidden     bool
	err        string
}

func newScreen(cols, rows int) *screen { return &screen{cols: cols, rows: rows} }

func (s *screen) feed(t testing.TB, b []byte) {
	t.Helper()
	for len(b) > 0 && s.err == "" {
		b = b[s.one(b):]
	}
	if s.err != "" {
		t.Fatalf("%s, before %q", s.err, b)
	}
	if s.hidden {
		t.Fatal("the cursor stays hidden after a frame")
	}
}

func (s *screen) one(b []byte) int {
	switch b[0] {
	case '\r':
		s.x = 0
		return 1
	case '\n': // the terminal's driver adds the return (ONLCR)
		s.x, s.y = 0, s.y+1
		s.top = max(s.top, s.y-s.rows+1)
		return 1
	case 0x1b:
		return s.escape(b)
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 || !printable(r) {
		s.err = fmt.Sprintf("wrote %q to the terminal", b[:n])
	}
	s.put(r)
	return n
}

func (s *screen) put(r rune) {
	w := runeWidth(r)
	if s.x+w > s.cols {
		s.x, s.y = 0, s.y+1
		s.top = max(s.top, s.y-s.rows+1)
	}
	line := s.line()
	for len(*line) < s.x+w {
		*line = append(*line, " ")
	}
	if w == 0 {
		return
	}
	(*line)[s.x] = string(r)
	if w == 2 {
		(*line)[s.x+1] = ""
	}
	s.x += w
}

func (s *screen) line() *[]string {
	for len(s.lines) <= s.y {
		s.lines = append(s.lines, nil)
	}
	return &s.lines[s.y]
}

func (s *screen) escape(b []byte) int {
	end := bytes.IndexAny(b, "AJKmhl")
	if end < 2 || b[1] != '[' {
		s.err = fmt.Sprintf("unknown escape %q", b[:min(8, len(b))])
		return len(b)
	}
	seq, n := string(b[2:end]), 0
	switch b[end] {
	case 'A':
		_, _ = fmt.Sscan(seq, &n)
		s.y = max(s.top, s.y-n)
	case 'K':
		l := s.line()
		*l = (*l)[:min(len(*l), s.x)]
	case 'J':
		l := s.line()
		*l = (*l)[:min(len(*l), s.x)]
		s.lines = s.lines[:s.y+1]
	case 'h', 'l':
		if seq != "?25" {
			s.err = "unknown mode " + seq
		}
		s.hidden = b[end] == 'l'
	}
	return end + 1
}

// String is what is on the screen and what has scrolled off it.
func (s *screen) String() string {
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString(strings.TrimRight(strings.Join(l, ""), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// FuzzTTY feeds a step's output to the display and its frames to a terminal: whatever a container writes, the
// terminal gets nothing but text and the display's own sequences, no row wraps, and the frame stays in place.
func FuzzTTY(f *testing.F) {
	f.Add([]byte("plain\ntext\n"), uint8(80), uint8(24))
	f.Add([]byte("\x1b[2J\x1b]0;t\x07\r\n\x9b1m\t\b\x00"), uint8(40), uint8(10))
	f.Add([]byte("漢字かな交じり文 👍 e\u0301\n\u202e"), uint8(21), uint8(5))
	f.Add([]byte("\xff\xfe\x1bP...\x1b"), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, log []byte, cols, rows uint8) {
		width, height := int(cols)+1, int(rows)+2 // one row is the cursor's
		var out bytes.Buffer
		c := newClock()
		p := newProgress(&out, TTY, c.now)
		p.clean, p.colored = true, len(log)%2 == 0
		p.view = &ttyView{p: p, size: func() (int, int) { return width, height }}
		close(p.stopped)
		scr := newScreen(width, height)
		first, second := p.Step(string(log)), p.Step("second")
		for i := 0; i < len(log); i += 7 {
			first.Log(log[i:min(i+7, len(log))])
			second.Log(log[i:min(i+3, len(log))])
			p.view.tick()
			scr.feed(t, out.Bytes())
			out.Reset()
			if len(scr.lines) > height+1 || scr.top > 0 {
				t.Fatalf("the frame has %d rows on a screen of %d", len(scr.lines), height)
			}
		}
		first.Done(nil)
		p.Close()
		scr.feed(t, out.Bytes())
		if got := strings.Count("\n"+scr.String(), "\n[+] B"); width > 5 && got != 1 {
			t.Fatalf("%d titles on the screen:\n%s", got, scr)
		}
	})
}
