package runtime

import (
	"context"
	"errors"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ExecOptions describe a further process in a running container.
type ExecOptions struct {
	Pid int // of the container's first process
	// StartTicks of that process: it is refused if Pid has been reused. 0: not checked.
	StartTicks uint64
	Spec       *specs.Spec    // the container's config.json: namespaces, seccomp, capabilities
	Process    *specs.Process // what to run
	Stdio      Stdio
	Cgroup     *os.File
	Resolve    func(root *os.File, p *specs.Process) error // as StartOptions.Rootfs: finishes Process from the container's root
}

// Exec starts it.
func Exec(ctx context.Context, o ExecOptions) (*Process, error) { return nil, errors.ErrUnsupported }
