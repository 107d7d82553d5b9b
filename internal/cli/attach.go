package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// attachment joins a process's standard files with this one's.
//
// Pipes and /dev/null are handed over as they are: nothing is copied. A terminal never is (the process
// could read from it and change it), and neither are files and sockets, which the process could not open
// again through /dev/stdout. With a log everything goes through here.
type attachment struct {
	stdio  runtime.Stdio
	theirs []*os.File // the process's ends, closed here once it has them
	copies []func()   // to run until the output ends
	input  func()     // copies stdin; not waited for
	ours   []*os.File // our ends, closed when starting went wrong
	wg     sync.WaitGroup

	in, out, err *os.File
	tty          bool
	interactive  bool
	log          *engine.LogWriter // nil: none
	front        *front            // nil: nobody detaches
	restore      func()
}

// attachTo makes an attachment; with tty the files are joined in started, by the console.
func (a *app) attachTo(tty, interactive bool, log *engine.LogWriter) (*attachment, error) {
	at := &attachment{in: a.in, out: a.out, err: a.err, tty: tty, interactive: interactive, log: log, front: a.front, restore: func() {}}
	if tty {
		return at, nil
	}
	if err := at.connect(); err != nil {
		at.abort()
		return nil, err
	}
	return at, nil
}

func (at *attachment) connect() (err error) {
	if at.interactive {
		if at.stdio.In, err = at.inputFile(); err != nil {
			return err
		}
	}
	if at.stdio.Out, err = at.outputFile(at.out, "stdout"); err != nil {
		return err
	}
	if at.log == nil && at.stdio.Out != at.out && sameFile(at.out, at.err) {
		at.stdio.Err = at.stdio.Out // one pipe keeps the order of what is written
		return nil
	}
	at.stdio.Err, err = at.outputFile(at.err, "stderr")
	return err
}

// inputFile is what the process reads from.
func (at *attachment) inputFile() (*os.File, error) {
	if handOver(at.in) {
		return at.in, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	at.theirs, at.ours = append(at.theirs, r), append(at.ours, w)
	at.input = func() {
		_, _ = io.Copy(w, at.in) // ends with our input or with the process
		_ = w.Close()
	}
	return r, nil
}

// outputFile is what the process writes to.
func (at *attachment) outputFile(to *os.File, stream string) (*os.File, error) {
	if at.log == nil && handOver(to) {
		return to, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	at.theirs, at.ours = append(at.theirs, w), append(at.ours, r)
	at.copies = append(at.copies, func() {
		at.copyOutput(to, r, stream)
		_ = r.Close() // read only
	})
	return w, nil
}

// copyOutput copies to our file and to the log. When our file can take no more (a closed pipe), the log
// still does, and the process is not stopped.
func (at *attachment) copyOutput(to io.Writer, from io.Reader, stream string) {
	if at.log == nil {
		if _, err := io.Copy(to, from); err != nil {
			_, _ = io.Copy(io.Discard, from) // the reader has gone
		}
		return
	}
	s := at.log.Stream(stream)
	_, _ = io.Copy(io.MultiWriter(s, &lenientWriter{w: to}), from)
	_ = s.Flush() // as the line before it
}

// lenientWriter drops what its writer refuses.
type lenientWriter struct {
	w    io.Writer
	gone bool
}

// Write never fails.
func (l *lenientWriter) Write(p []byte) (int, error) {
	if !l.gone {
		_, err := l.w.Write(p)
		l.gone = err != nil
	}
	return len(p), nil
}

// handOver reports whether f may be given to a process as it is: a pipe, or /dev/null.
func handOver(f *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return true
	case unix.S_IFCHR:
		return st.Rdev == unix.Mkdev(1, 3)
	}
	return false
}

func sameFile(a, b *os.File) bool {
	x, errX := a.Stat()
	y, errY := b.Stat()
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// started begins to copy, once the process runs. console is its terminal's master, or nil.
func (at *attachment) started(console *os.File) error {
	for _, f := range at.theirs {
		_ = f.Close() // the process has its own
	}
	at.theirs = nil
	if console != nil {
		if err := at.joinConsole(console); err != nil {
			return err
		}
	}
	for _, f := range at.copies {
		at.wg.Go(f)
	}
	if at.input != nil {
		go at.input()
	}
	return nil
}

func (at *attachment) joinConsole(console *os.File) error {
	at.ours = append(at.ours, console)
	at.copies = append(at.copies, func() { at.copyOutput(at.out, console, "stdout") })
	if !at.interactive {
		return nil
	}
	if fd := int(at.in.Fd()); term.IsTerminal(fd) {
		old, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("make terminal raw: %w", err)
		}
		at.restore = func() { _ = term.Restore(fd, old) } // nothing more can be done
	}
	at.input = func() { at.copyInput(console) }
	return nil
}

// copyInput ends with our input, with the process, or with the keys that detach from it.
func (at *attachment) copyInput(console io.Writer) {
	if at.front == nil || len(at.front.keys) == 0 {
		_, _ = io.Copy(console, at.in) // as above
		return
	}
	_, err := io.Copy(console, &detachReader{from: at.in, keys: at.front.keys})
	if errors.Is(err, errDetached) {
		at.front.detach()
	}
}

// leave gives the terminal back, and has what is still to come go nowhere but to the log.
func (at *attachment) leave() {
	at.restore()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return // there is no machine without
	}
	defer func() { _ = null.Close() }() // the others stay
	for _, f := range []*os.File{at.in, at.out, at.err} {
		_ = unix.Dup3(int(null.Fd()), int(f.Fd()), 0) // both are open
	}
}

// resize gives the console our terminal's size.
func (at *attachment) resize(console *os.File) {
	if ws := at.windowSize(); ws != nil {
		_ = unix.IoctlSetWinsize(int(console.Fd()), unix.TIOCSWINSZ, ws) // the process may have ended
	}
}

// windowSize is our terminal's size, nil without one.
func (at *attachment) windowSize() *unix.Winsize {
	for _, f := range []*os.File{at.in, at.out, at.err} {
		if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			return ws
		}
	}
	return nil
}

// consoleSize is the size a new console begins with, nil where it is none or unknown.
func (at *attachment) consoleSize() *specs.Box {
	if !at.tty {
		return nil
	}
	ws := at.windowSize()
	if ws == nil {
		return nil
	}
	return &specs.Box{Height: uint(ws.Row), Width: uint(ws.Col)}
}

// finish waits for the output's end and restores the terminal.
func (at *attachment) finish() {
	at.wg.Wait()
	at.restore()
	for _, f := range at.ours {
		_ = f.Close() // all of it is copied
	}
}

// abort closes everything when the process did not start.
func (at *attachment) abort() {
	for _, f := range append(at.theirs, at.ours...) {
		_ = f.Close() // unused
	}
	at.restore()
}

// closeLog closes a log that may be nil.
func closeLog(l *engine.LogWriter, err error) error {
	if l == nil {
		return err
	}
	return errors.Join(err, l.Close())
}
