package stage

import "syscall"

// waitHooks has the parent run the hooks that are its to run, and waits for their end.
func waitHooks(c *child) error {
	if !c.plan.WaitHooks {
		return nil
	}
	if err := sendmsg(c.sock, []byte{MsgHooks}, nil); err != nil {
		return err
	}
	return c.awaitParent()
}

// awaitParent waits for the parent's word.
func (c *child) awaitParent() error {
	var b [1]byte
	n, _, err := Receive(c.sock, b[:], 0)
	if err == nil && n == 0 {
		return syscall.ECONNRESET
	}
	return err
}

func runCreateHooks(c *child) error {
	return c.runHooks("createContainer", c.plan.CreateHooks, c.plan.CreateState)
}

func runStartHooks(c *child) error {
	return c.runHooks("startContainer", c.plan.StartHooks, c.plan.StartState)
}

// runHooks runs hooks one after the other, up to the first that fails (runtime-spec, config.md, "POSIX-platform
// Hooks"); state is the descriptor with their standard input.
func (c *child) runHooks(point string, hooks []Hook, state int) error {
	if len(hooks) == 0 {
		return nil
	}
	if state <= 0 || state >= len(c.fds) || c.plan.HookOutput <= 0 || c.plan.HookOutput >= len(c.fds) {
		return syscall.EBADF
	}
	for i := range hooks {
		if err := c.runHook(&hooks[i], c.fds[state], c.fds[c.plan.HookOutput]); err != nil {
			return fail("run "+point+" hook "+hooks[i].Path, err)
		}
	}
	return nil
}

func (c *child) runHook(h *Hook, state, output int) error {
	if _, err := syscall.Seek(state, 0, 0); err != nil {
		return err
	}
	if err := syscall.Ftruncate(output, 0); err != nil {
		return err
	}
	if _, err := syscall.Seek(output, 0, 0); err != nil {
		return err
	}
	env := h.Env
	if env == nil {
		env = []string{} // nil would be ours
	}
	pid, err := syscall.ForkExec(h.Path, h.Args, &syscall.ProcAttr{
		Env: env, Files: []uintptr{uintptr(state), uintptr(output), uintptr(output)},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return err
	}
	ws, err := awaitHook(pid, h.TimeoutSeconds)
	switch {
	case err != nil:
		return err
	case ws.Signaled():
		return &Failure{What: "killed by signal " + decimal(uint32(ws.Signal())) + said(output)}
	case ws.ExitStatus() != 0:
		return &Failure{What: "exit status " + decimal(uint32(ws.ExitStatus())) + said(output)}
	}
	return nil
}

// awaitHook waits for a hook's end, and ends it when it takes too long.
func awaitHook(pid, timeoutSeconds int) (ws syscall.WaitStatus, err error) {
	const tickMillis = 2
	options := 0
	if timeoutSeconds > 0 {
		options = syscall.WNOHANG
	}
	for ticks := timeoutSeconds * 1000 / tickMillis; ; ticks-- {
		got, err := syscall.Wait4(pid, &ws, options, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || got == pid:
			return ws, err
		case ticks == 0:
			_ = syscall.Kill(-pid, syscall.SIGKILL) // it has ended if not
			_, _ = syscall.Wait4(pid, &ws, 0, nil)
			return ws, &Failure{What: "it took more than " + decimal(uint32(timeoutSeconds)) + " seconds"}
		}
		tick := syscall.Timespec{Nsec: tickMillis * 1000 * 1000}
		_ = syscall.Nanosleep(&tick, nil) // a signal makes it look the sooner
	}
}

// said is what a hook printed, as far as an error has room for it.
func said(output int) string {
	var buf [2048]byte
	n, err := syscall.Pread(output, buf[:], 0)
	if err != nil || n <= 0 {
		return ""
	}
	for n > 0 && buf[n-1] == '\n' {
		n--
	}
	return ": " + string(buf[:n])
}
