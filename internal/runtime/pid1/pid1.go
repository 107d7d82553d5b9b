// Package pid1 is the small init of `run --init`: pid 1 of a container that runs the command as its
// child, passes signals on, reaps orphans, and exits as the command does.
//
// It runs as the container's user from an init function, selected by argv[0]; see stage.ArgInit.
package pid1

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

func init() {
	if len(os.Args) > 3 && os.Args[0] == stage.ArgInit {
		syscall.Exit(run(os.Args[1] != "", os.Args[2], os.Args[3:]))
	}
}

// run runs the program at path and returns the code to exit with.
func run(terminal bool, path string, args []string) int {
	syscall.CloseOnExec(stage.SocketFd)
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		// A process group of its own, or it would get a terminal's signals twice: from there and from us.
		Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: terminal, Ctty: 0},
	})
	if err != nil {
		return stage.ReportNotExecuted(path, err)
	}
	if err := syscall.Close(stage.SocketFd); err != nil { // tells the parent that the command runs
		return 125
	}
	go forward(signals, pid)
	return reap(pid)
}

// forward passes signals on, but for those that are meant for this process: its children's, the Go
// runtime's own, and the terminal's to a background process.
func forward(signals <-chan os.Signal, pid int) {
	for s := range signals {
		switch s {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGTTIN, syscall.SIGTTOU:
		default:
			if n, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(pid, n) // it may have ended, as reap will see
			}
		}
	}
}

// reap waits for every child until the command's process ends; 128+n is a death by signal n.
func reap(pid int) int {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 125
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case got == pid && ws.Exited():
			return ws.ExitStatus()
		}
	}
}
