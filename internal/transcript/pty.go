package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ptyMain is the program pty.
func ptyMain() {
	os.Exit(ptyCommand(os.Args[1:])) //nolint:revive,forbidigo // it is a main function
}

// ptyCommand returns the exit code: the command's, or 125.
func ptyCommand(args []string) int {
	after := ""
	if len(args) > 2 && args[0] == "-after" {
		after, args = args[1], args[2:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: pty [-after TEXT] cmd [arg...]")
		return 125
	}
	code, err := runOnPty(args, after)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pty:", err)
		return 125
	}
	return code
}

// runOnPty runs args with a terminal of its own as stdin, stdout, stderr and controlling terminal.
func runOnPty(args []string, after string) (int, error) {
	master, terminal, err := openPty()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_ = terminal.Close() // the child has it
	shown := &watcher{w: os.Stdout, text: []byte(after), seen: make(chan struct{})}
	if after == "" {
		close(shown.seen)
		shown.text = nil
	}
	go func() {
		<-shown.seen
		_, _ = io.Copy(master, os.Stdin) // ends with the program
	}()
	// EIO is how a terminal says that its last process has gone.
	if _, err := io.Copy(shown, master); err != nil && !errors.Is(err, syscall.EIO) {
		return 0, err
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// openPty opens a pair of 24 by 80.
func openPty() (master, terminal *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err == nil {
		terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return master, terminal, nil
}

// watcher copies to w and closes seen once text has passed.
type watcher struct {
	w    io.Writer
	text []byte
	past []byte
	seen chan struct{}
}

// Write implements io.Writer.
func (w *watcher) Write(b []byte) (int, error) {
	if w.text != nil {
		w.past = append(w.past, b...)
		if bytes.Contains(w.past, w.text) {
			close(w.seen)
			w.text = nil
		}
	}
	return w.w.Write(b)
}
