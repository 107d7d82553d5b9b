package ui

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"
)

func TestStatus(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	master, slave := openPTY(t, 20, 5)
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // ends with EIO when the other side is closed
		shown <- string(b)
	}()
	clock := time.Unix(0, 0)
	s := NewStatus(slave)
	s.now = func() time.Time { return clock }
	out := s.Around(slave)
	s.Set("one\x1b[2J")
	s.Set("too soon")
	clock = clock.Add(tick)
	s.Set("a text that is longer than the terminal")
	if _, err := io.WriteString(out, "result\n"); err != nil {
		t.Fatal(err)
	}
	s.Clear()
	clock = clock.Add(tick)
	s.Set("last")
	s.Clear()
	s.Clear()
	_ = slave.Close()
	const want = eraseLine + "one[2J" + eraseLine + "a text that is long" + eraseLine + "result\r\n" + eraseLine + "last" + eraseLine
	if got := <-shown; got != want {
		t.Errorf("terminal got %q, want %q", got, want)
	}
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
