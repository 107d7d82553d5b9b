package features

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideArg as argv[0] makes this program look around inside a user namespace, report and end.
const insideArg = "deckhand-features"

// findings is the report: what failed, "" for what works.
type findings struct {
	MountAPI string
	Overlay  string
	failed   string // why there is no report
}

func (f *findings) feature(failure, detail, fix string) Feature {
	switch {
	case f.failed != "":
		return no(f.failed, "") // the line about user namespaces has the fix
	case failure != "":
		return no(failure, fix)
	}
	return yes(detail)
}

func init() {
	if len(os.Args) == 2 && os.Args[0] == insideArg {
		os.Exit(reportInside(os.Args[1])) //nolint:forbidigo // another program in the same file
	}
}

// reportInside is that program.
func reportInside(dir string) int {
	f := findings{MountAPI: text(tryMountAPI())}
	if dir != "" {
		f.Overlay = text(tryOverlay(dir, nil, true))
		_ = os.RemoveAll(dir) // of what overlay left there only this root may remove all
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return 1
	}
	return 0
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// lookInside runs it in a user namespace that has the caller's own ids only, which needs no help.
func lookInside(dir string) *findings {
	f := &findings{}
	if err := f.look(dir); err != nil {
		f.failed = err.Error()
	}
	return f
}

func (f *findings) look(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer func() { _ = r.Close() }() // read only
	p, err := os.StartProcess("/proc/self/exe", []string{insideArg, dir}, &os.ProcAttr{
		Env:   []string{"GOGC=off"},
		Files: []*os.File{nil, w, nil},
		Sys: &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
			Pdeathsig:   unix.SIGKILL,
		},
	})
	_ = w.Close() // the child has its own
	if err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	var out bytes.Buffer
	_, readErr := out.ReadFrom(r)
	if _, err := p.Wait(); err != nil {
		return fmt.Errorf("look around in a user namespace: %w", err)
	}
	if readErr != nil {
		return fmt.Errorf("look around in a user namespace: %w", readErr)
	}
	if err := json.Unmarshal(out.Bytes(), f); err != nil {
		return fmt.Errorf("look around in a user namespace: %w", err)
	}
	return nil
}
