package ui

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// clock is a time that tests move by hand.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Unix(1_700_000_000, 0)} }
func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// script is a build as a display sees it: two steps at once, a cached one, a failing one.
func script(p *Progress, c *clock, look func()) {
	load := p.Step("[internal] load build definition from Dockerfile")
	tr := load.Transfer("transferring dockerfile:")
	c.advance(40 * time.Millisecond)
	tr.Bytes(55, 0)
	tr.Done()
	load.Done(nil)
	p.Step("[1/4] FROM docker.io/library/ubuntu:latest").Cached()
	look()
	run := p.Step("[2/4] RUN apt-get update")
	c.advance(312 * time.Millisecond)
	run.Log([]byte("Get:1 http://deb.debian.org/debian stable InRelease\nGet:2 part"))
	other := p.Step("[stage-1 2/3] COPY . /src")
	other.Bytes(1<<20, 29_130_000)
	look()
	c.advance(200 * time.Millisecond)
	run.Log([]byte("ial line\r\nReading package lists...\r"))
	other.Bytes(29_130_000, 29_130_000)
	other.Done(nil)
	look()
	c.advance(time.Second)
	run.Log([]byte("Reading package lists... Done\n"))
	run.Done(nil)
	bad := p.Step("[3/4] RUN false")
	waits := p.Step("[4/4] RUN sleep 100")
	bad.Log([]byte("it went \x1b[31mwrong\x1b[0m\n"))
	c.advance(1500 * time.Millisecond)
	bad.Done(errors.New(`process "/bin/sh -c false" did not complete successfully: exit code: 1`))
	waits.Done(context.Canceled)
	look()
}

func TestPlain(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, Plain, c.now)
	close(p.stopped)
	script(p, c, func() { p.view.tick() })
	p.Close()
	p.Close()
	golden(t, "plain", b.String())
}

func TestTTY(t *testing.T) {
	for name, size := range map[string][2]int{"wide": {80, 24}, "low": {60, 7}, "narrow": {30, 24}, "tiny": {9, 3}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c := newClock()
			p := newProgress(&out, TTY, c.now)
			p.clean = true
			p.view = &ttyView{p: p, size: func() (int, int) { return size[0], size[1] }}
			close(p.stopped)
			screen := newScreen(size[0], size[1])
			var shots strings.Builder
			shot := func() {
				screen.feed(t, out.Bytes())
				out.Reset()
				shots.WriteString(strings.Repeat("_", size[0]) + "\n" + screen.String())
			}
			script(p, c, func() { p.view.tick(); shot() })
			p.Close()
			shot()
			golden(t, "tty-"+name, shots.String())
		})
	}
}

func TestColour(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	p := newProgress(&out, TTY, c.now)
	p.colored = true
	close(p.stopped)
	p.Step("ok").Done(nil)
	p.Step("bad").Done(errors.New("x"))
	p.Close()
	for _, want := range []string{"\x1b[34m => ok", "\x1b[31m => ERROR bad"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestQuietShowsOnlyFailures(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, Quiet)
	ok, bad := p.Step("ok"), p.Step("[2/2] RUN false")
	ok.Log([]byte("noise\n"))
	ok.Done(nil)
	bad.Log([]byte("why it failed\n"))
	if b.Len() > 0 {
		t.Errorf("wrote %q before the end", b.String())
	}
	bad.Done(errors.New("exit code: 1"))
	p.Close()
	if got := b.String(); !strings.HasPrefix(got, "------\n > [2/2] RUN false:\n0.00") ||
		!strings.HasSuffix(got, " why it failed\n------\n") || strings.Contains(got, "noise") {
		t.Errorf("got %q", got)
	}
}

func TestAutoIsPlainForABuffer(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, Auto)
	p.Step("one").Cached()
	p.Close()
	if got, want := b.String(), "#1 one\n#1 CACHED\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Step("late").Log([]byte("late\n"))
	if strings.Contains(b.String(), "late") {
		t.Errorf("a step after Close was shown: %q", b.String())
	}
}

// A step that talks without pause must not keep others from being seen.
func TestPlainTurns(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, Plain, c.now)
	close(p.stopped)
	a := p.Step("a")
	z := p.Step("z")
	z.Log([]byte("from z\n"))
	for range 60 {
		c.advance(100 * time.Millisecond)
		a.Log([]byte("from a\n"))
		p.view.tick()
	}
	if got := b.String(); !strings.Contains(got, "#1 ...\n\n#2 z\n#2 0.000 from z\n") {
		t.Errorf("z was not shown within 6 s:\n%s", got)
	}
	p.Close()
	if got := b.String(); !strings.Contains(got, "#1 CANCELED\n") || !strings.Contains(got, "#2 CANCELED\n") {
		t.Errorf("steps nobody ended are not shown as canceled:\n%s", got)
	}
}

func TestSlowTransferIsReported(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, Plain, c.now)
	close(p.stopped)
	s := p.Step("pull")
	tr := s.Transfer("sha256:abc")
	for i := range 9 {
		c.advance(time.Second)
		tr.Bytes(int64(i+1)*1_000_000, 9_000_000)
	}
	tr.Done()
	s.Done(nil)
	p.Close()
	want := "#1 pull\n#1 sha256:abc 2.00MB / 9.00MB 2.0s\n#1 sha256:abc 4.00MB / 9.00MB 4.0s\n" +
		"#1 sha256:abc 6.00MB / 9.00MB 6.0s\n#1 sha256:abc 8.00MB / 9.00MB 8.0s\n" +
		"#1 sha256:abc 9.00MB / 9.00MB 9.0s done\n#1 DONE 9.0s\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestManyWriters(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, Plain)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := p.Step("step")
			for range 200 {
				s.Log([]byte("half "))
				s.Log([]byte("whole\n"))
			}
			s.Done(nil)
		})
	}
	wg.Wait()
	p.Close()
	if n := strings.Count(b.String(), "half whole\n"); n != 8*200 {
		t.Errorf("%d lines of 1600 were shown", n)
	}
}

// A narrower screen wraps the rows that are there; the next frame must still begin at the first of them.
func TestShrink(t *testing.T) {
	v := &ttyView{drawn: []int{79, 40, 12}}
	if got := v.height(40); got != 2+1+1 {
		t.Errorf("height = %d, want 4", got)
	}
}

func TestLogIsNeutralised(t *testing.T) {
	for name, tc := range map[string]struct {
		in   []string
		want []string
	}{
		"colour":        {[]string{"\x1b[1;31mred\x1b[0m text\n"}, []string{"red text"}},
		"split escape":  {[]string{"a\x1b", "[3", "1mb\n"}, []string{"ab"}},
		"split rune":    {[]string{"a\xe2\x82", "\xacb\n"}, []string{"a€b"}},
		"title":         {[]string{"\x1b]0;owned\x07x\x1b]0;y\x1b\\z\n"}, []string{"xz"}},
		"return":        {[]string{"10%\r20%\r100%\n"}, []string{"100%"}},
		"crlf":          {[]string{"dos\r\nunix\n"}, []string{"dos", "unix"}},
		"erase":         {[]string{"long text\r\x1b[Kshort\n"}, []string{"short"}},
		"erase all":     {[]string{"long text\x1b[2Kx\n"}, []string{"         x"}},
		"backspace":     {[]string{"ab\b\bX\n"}, []string{"Xb"}},
		"tab":           {[]string{"a\tb\n"}, []string{"a       b"}},
		"bell and nul":  {[]string{"a\a\x00b\n"}, []string{"ab"}},
		"c1":            {[]string{"a\u009b31mb\n"}, []string{"a31mb"}},
		"bidi":          {[]string{"a\u202eb\n"}, []string{"ab"}},
		"invalid utf-8": {[]string{"a\xffb\n"}, []string{"a\ufffdb"}},
		"cursor away":   {[]string{"\x1b[5A\x1b[2J\x1b[Hx\n"}, []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			var e lineEditor
			var got []string
			for _, c := range tc.in {
				e.write([]byte(c), func(l string) { got = append(got, l) })
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestEndlessLine(t *testing.T) {
	var e lineEditor
	lines := 0
	e.write(bytes.Repeat([]byte("x"), 3*maxLine+1), func(string) { lines++ })
	if lines != 3 || e.line() != "x" {
		t.Errorf("%d lines and %q left, want 3 and x", lines, e.line())
	}
}

func TestParseMode(t *testing.T) {
	for in, want := range map[string]Mode{"": Auto, "auto": Auto, "tty": TTY, "plain": Plain, "quiet": Quiet} {
		if got, err := ParseMode(in); err != nil || got != want {
			t.Errorf("ParseMode(%q) = %q, %v", in, got, err)
		}
	}
	if _, err := ParseMode("rawjson"); err == nil {
		t.Error("ParseMode accepted rawjson")
	}
}
