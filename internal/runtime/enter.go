package runtime

import "golang.org/x/sys/unix"

// entered calls fork through enter, where there is one (StartOptions.Enter).
func entered(enter func(fork func() error) error, fork func() (int, error)) (pid int, err error) {
	if enter == nil {
		return fork()
	}
	err = enter(func() (err error) {
		pid, err = fork()
		return err
	})
	if err != nil && pid > 0 {
		_ = unix.Kill(pid, unix.SIGKILL) // our child, not reaped
		reap(pid)
		pid = 0
	}
	return pid, err
}
