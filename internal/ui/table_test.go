package ui

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	tab := NewTable("REPOSITORY", "TAG", "SIZE")
	tab.Row("example", "latest", "77.9MB")
	tab.Row("localhost:5000/a/long/one", "1.2.3-漢字", "1kB")
	tab.Row("bad\x1b[2J\nname", "x", "")
	var b bytes.Buffer
	if err := tab.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "REPOSITORY                  TAG          SIZE\n" +
		"example                     latest       77.9MB\n" +
		"localhost:5000/a/long/one   1.2.3-漢字   1kB\n" +
		"bad[2J name                 x            \n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if err := tab.Write(brokenWriter{}); err == nil {
		t.Error("an error of the writer was lost")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestHumanSize(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0B", 5: "5B", 999: "999B", 1000: "1kB", 1240: "1.24kB", 12_345: "12.3kB", 77_900_000: "77.9MB",
		999_600_000: "1GB", 999_400_000: "999MB", 1_500_000_000_000: "1.5TB",
	} {
		if got := HumanSize(in); got != want {
			t.Errorf("HumanSize(%d) = %q, want %q", in, got, want)
		}
	}
}

func TestHumanDuration(t *testing.T) {
	const day = 24 * time.Hour
	for in, want := range map[time.Duration]string{
		0: "Less than a second", time.Second: "1 second", 59 * time.Second: "59 seconds",
		time.Minute: "About a minute", 2 * time.Minute: "2 minutes", 59 * time.Minute: "59 minutes",
		time.Hour: "About an hour", 2 * time.Hour: "2 hours", 47 * time.Hour: "47 hours", 2 * day: "2 days",
		13 * day: "13 days", 14 * day: "2 weeks", 59 * day: "8 weeks", 60 * day: "2 months", 729 * day: "24 months",
		731 * day: "2 years",
	} {
		if got := HumanDuration(in); got != want {
			t.Errorf("HumanDuration(%v) = %q, want %q", in, got, want)
		}
	}
	now := time.Unix(1e9, 0)
	if got := Ago(now.Add(-3*time.Minute), now); got != "3 minutes ago" {
		t.Errorf("Ago = %q", got)
	}
	if got := Ago(time.Time{}, now); got != "N/A" {
		t.Errorf("Ago(zero) = %q", got)
	}
}

func TestPaintOnlyOnATerminal(t *testing.T) {
	var b bytes.Buffer
	if got := Paint(&b, Red, "x"); got != "x" {
		t.Errorf("Paint for a buffer = %q", got)
	}
}
