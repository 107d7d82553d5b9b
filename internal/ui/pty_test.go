package ui

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY makes a pseudo terminal of a size.
func openPTY(t *testing.T, cols, rows uint16) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { _ = master.Close() })
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	resize(t, slave, cols, rows)
	return master, slave
}

func resize(t *testing.T, f *os.File, cols, rows uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows}); err != nil {
		t.Fatal(err)
	}
}

func TestRealTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	master, slave := openPTY(t, 50, 12)
	if cols, rows := Size(slave); cols != 50 || rows != 12 {
		t.Errorf("Size = %d, %d", cols, rows)
	}
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&shown, master) // ends with EIO when the other side is closed
	}()
	p := NewProgress(slave, Auto)
	s := p.Step("[1/1] RUN something with a name that is too long for one line of a narrow terminal")
	s.Log([]byte("\x1b[2Joutput\n"))
	time.Sleep(3 * tick)
	resize(t, slave, 30, 12)
	time.Sleep(3 * tick)
	s.Done(nil)
	p.Close()
	if !Colored(slave) {
		t.Error("a terminal may be coloured")
	}
	t.Setenv("NO_COLOR", "1")
	if Colored(slave) {
		t.Error("NO_COLOR is not obeyed")
	}
	_ = slave.Close()
	<-read
	text := shown.String()
	frames := strings.Split(text, "\x1b[?25l")
	if len(frames) < 4 {
		t.Fatalf("%d frames within %v: %q", len(frames)-1, 6*tick, text)
	}
	if strings.Contains(text, "\x1b[2J") {
		t.Error("an escape sequence of the step's output came through")
	}
	if !strings.Contains(frames[1], " => => # output") || !strings.Contains(text, "\x1b[34m => [1/1]") {
		t.Errorf("no output or no colour: %q", text)
	}
	for i, f := range frames[1:] {
		if !strings.HasSuffix(f, "\x1b[?25h") {
			t.Errorf("frame %d does not bring the cursor back: %q", i, f)
		}
	}
	last := newScreen(30, 12)
	last.feed(t, []byte(stripColour(frames[len(frames)-1])))
	if got := last.String(); !strings.Contains(got, " => [1/1] RUN something ") || !strings.Contains(got, "FINISH") {
		t.Errorf("last frame:\n%s", got)
	}
}

// stripColour takes away what screen knows anyway, to keep widths plain.
func stripColour(s string) string {
	return strings.NewReplacer("\x1b[34m", "", "\x1b[0m", "").Replace(s)
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) || Colored(f) {
		t.Error("/dev/null is taken for a terminal")
	}
	if cols, rows := Size(f); cols != defaultCols || rows != defaultRows {
		t.Errorf("Size = %d, %d", cols, rows)
	}
}
