package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newLog(t *testing.T) (*LogWriter, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), LogName)
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	l.now = func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC) }
	return l, path
}

func readAll(t *testing.T, path string, tail int) []LogEntry {
	t.Helper()
	r, err := ReadLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if tail >= 0 {
		if err := r.Tail(tail); err != nil {
			t.Fatal(err)
		}
	}
	var out []LogEntry
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

func TestLogFormat(t *testing.T) {
	l, path := newLog(t)
	out, errs := l.Stream("stdout"), l.Stream("stderr")
	fmt.Fprint(out, "a <b> & \"c\"\nhalf")
	fmt.Fprint(errs, "oops\n")
	fmt.Fprint(out, " whole\nrest")
	if err := errors.Join(out.Flush(), errs.Flush()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"log":"a <b> & \"c\"\n","stream":"stdout","time":"2026-11-23T12:00:00.000000005Z"}
{"log":"oops\n","stream":"stderr","time":"2026-11-23T12:00:00.000000005Z"}
{"log":"half whole\n","stream":"stdout","time":"2026-11-23T12:00:00.000000005Z"}
{"log":"rest","stream":"stdout","time":"2026-11-23T12:00:00.000000005Z"}
`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

// A line without an end must not fill the memory: it is cut as docker cuts it.
func TestLogLongLine(t *testing.T) {
	l, path := newLog(t)
	s := l.Stream("stdout")
	long := strings.Repeat("x", 2*maxLogLineBytes+10) + "\n"
	for i := 0; i < len(long); i += 1000 {
		fmt.Fprint(s, long[i:min(i+1000, len(long))])
	}
	var lengths []int
	var joined strings.Builder
	for _, e := range readAll(t, path, -1) {
		lengths = append(lengths, len(e.Log))
		joined.WriteString(e.Log)
	}
	if diff := cmp.Diff([]int{maxLogLineBytes, maxLogLineBytes, 11}, lengths); diff != "" {
		t.Error(diff)
	}
	if joined.String() != long {
		t.Error("the line is not what was written")
	}
}

func TestLogTail(t *testing.T) {
	l, path := newLog(t)
	s := l.Stream("stdout")
	for i := range 2000 {
		fmt.Fprintf(s, "line %d\n", i)
	}
	for tail, want := range map[int]int{0: 0, 1: 1, 7: 7, 1999: 1999, 2000: 2000, 5000: 2000, -1: 2000} {
		got := readAll(t, path, tail)
		if len(got) != want {
			t.Errorf("tail %d: %d records", tail, len(got))
		}
		if len(got) > 0 && got[len(got)-1].Log != "line 1999\n" {
			t.Errorf("tail %d ends with %q", tail, got[len(got)-1].Log)
		}
	}
}

// The writer may be killed amid a record; the next run goes on in the same file.
func TestLogTornRecord(t *testing.T) {
	l, path := newLog(t)
	s := l.Stream("stdout")
	fmt.Fprint(s, "one\n")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"log\":\"to"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := readAll(t, path, -1); len(got) != 1 {
		t.Fatalf("%v", got)
	}
	again, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	fmt.Fprint(again.Stream("stdout"), "two\nthree\n")
	var lines []string
	for _, e := range readAll(t, path, -1) {
		lines = append(lines, e.Log)
	}
	if diff := cmp.Diff([]string{"one\n", "two\n", "three\n"}, lines); diff != "" {
		t.Error(diff)
	}
}

// A reader at the end finds what is written later, also when it came in halves.
func TestLogFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), LogName)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ReadLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, part := range []string{"", `{"log":"a\n","str`, `eam":"stdout"`} {
		f.WriteString(part)
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after %q: %v", part, err)
		}
	}
	f.WriteString("}\n")
	if e, err := r.Next(); err != nil || e.Log != "a\n" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestContiguous(t *testing.T) {
	for in, want := range map[string]uint32{
		"         0          0 4294967295\n": 65536,
		"0 1000 1\n1 100000 65536\n":         65536,
		"1 100000 65536\n0 1000 1\n":         65536,
		"0 1000 1\n":                         1,
		"0 1000 1\n1 100000 1000\n":          1001,
		"0 1000 1\n2 100000 65536\n":         1,
		"":                                   0,
		"1 100000 65536\n":                   0,
		"x y z\n0 5 10\n":                    10,
	} {
		if got := contiguous(in); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func FuzzLogReader(f *testing.F) {
	f.Add([]byte("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-23T12:00:00Z\"}\n{\"log"))
	f.Add([]byte("\n\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(content), "\n")
		if got := len(readAll(t, path, -1)); got > lines {
			t.Errorf("%d records of %d lines", got, lines)
		}
		if got := len(readAll(t, path, 2)); got > 3 {
			t.Errorf("%d records of the last 2", got)
		}
	})
}
