package ui

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"
)

func TestStatus(t *testing.T) {
	t.Setenv("TERM", "xterm")
	got := onTerminal(t, func(slave *os.File, s *Status) {
		var due []func()
		s.after = func(d time.Duration, draw func()) *time.Timer {
			if d != tick {
				t.Errorf("drawn after %s", d)
			}
			due = append(due, draw)
			return nil
		}
		pass := func() {
			for _, draw := range due {
				draw()
			}
			due = nil
		}
		out := s.Around(slave)
		s.Set("nobody sees it")
		s.Set("one\x1b[2J")
		pass()
		s.Set("a text that is longer than the terminal")
		pass()
		if _, err := io.WriteString(out, "result\n"); err != nil {
			t.Fatal(err)
		}
		pass() // what is still being done is said again
		s.Clear()
		s.Set("gone before it is seen")
		s.Clear()
		pass()
		s.Set("last")
		pass()
		s.Clear()
		s.Clear()
		if _, err := io.WriteString(out, "end\n"); err != nil {
			t.Fatal(err)
		}
		pass()
	})
	const long = eraseLine + "a text that is long"
	const want = eraseLine + "one[2J" + long + eraseLine + "result\r\n" + long + eraseLine + eraseLine + "last" + eraseLine + "end\r\n"
	if got != want {
		t.Errorf("terminal got %q, want %q", got, want)
	}
}

func TestStatusOnDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	got := onTerminal(t, func(_ *os.File, s *Status) {
		s.after = func(_ time.Duration, draw func()) *time.Timer {
			t.Error("it is drawn")
			return nil
		}
		s.Set("unseen")
		s.Clear()
	})
	if got != "" {
		t.Errorf("terminal got %q", got)
	}
}

// onTerminal returns what a terminal of 20 columns gets.
func onTerminal(t *testing.T, use func(slave *os.File, s *Status)) string {
	t.Helper()
	master, slave := openPTY(t, 20, 5)
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // ends with EIO when the other side is closed
		shown <- string(b)
	}()
	use(slave, NewStatus(slave))
	_ = slave.Close()
	return <-shown
}

func TestStatusElsewhere(t *testing.T) {
	var b bytes.Buffer
	s := NewStatus(&b)
	s.Set("unseen")
	if _, err := io.WriteString(s.Around(&b), "result\n"); err != nil {
		t.Fatal(err)
	}
	s.Clear()
	if got := b.String(); got != "result\n" {
		t.Errorf("got %q", got)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	NewStatus(null).Set("unseen") // writing would fail, and nobody would know
}
