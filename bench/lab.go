package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// lab is a directory with everything that is measured.
type lab struct {
	dir      string // temporary
	deckhand string // the program
	base     string // the root filesystem's tar
	runs     int
	progress io.Writer
	bundle   string // of crun and runc; made when asked for
	podman   []string
}

// newLab builds the programs and makes the base image.
func newLab(ctx context.Context, runs int, progress io.Writer) (*lab, error) {
	dir, err := os.MkdirTemp("", "deckhand-bench")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, runs: runs, progress: progress, deckhand: filepath.Join(dir, "bin/deckhand")}
	l.podman = []string{"--root", l.path("podman"), "--runroot", l.path("podman-run"), "--cgroup-manager", "cgroupfs"}
	if err := l.fill(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) fill(ctx context.Context) error {
	if err := os.Setenv("DECKHAND_DATA_ROOT", l.path("data")); err != nil {
		return err
	}
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil {
		return err
	}
	if err := l.do(ctx, "go", "build", "-trimpath", "-o", l.path("bin")+"/", "./cmd/..."); err != nil {
		return err
	}
	base, err := exec.CommandContext(ctx, "hack/make-base", "debian").Output()
	if err != nil {
		return fmt.Errorf("make the base: %w", err)
	}
	l.base = strings.TrimSpace(string(base))
	return l.do(ctx, l.deckhand, "import", l.base, "ubuntu:latest")
}

// path is a path in the laboratory.
func (l *lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// slow is how often a command of a second or more is run.
func (l *lab) slow() int { return max(3, l.runs/4) }

// do runs a command that is not measured.
func (l *lab) do(ctx context.Context, args ...string) error {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %v: %w\n%s", args, err, output.Bytes())
	}
	return nil
}

// close removes everything, podman's overlay mount included.
func (l *lab) close() error {
	_ = syscall.Unmount(l.path("podman/overlay"), syscall.MNT_DETACH) // podman leaves it mounted where it was used
	return os.RemoveAll(l.dir)
}

// podmanArgs are the arguments of a podman command on the laboratory's own storage.
func (l *lab) podmanArgs(args ...string) []string {
	return append(append([]string{"podman"}, l.podman...), args...)
}

// buildahArgs are the same for buildah.
func (l *lab) buildahArgs(args ...string) []string {
	return append(append([]string{"buildah"}, l.podman[:4]...), args...)
}

// makeBundle unpacks the base as an OCI bundle that runs /bin/true as 9000 under the seccomp profile deckhand uses.
func (l *lab) makeBundle(ctx context.Context) error {
	l.bundle = l.path("bundle")
	if err := os.MkdirAll(filepath.Join(l.bundle, "rootfs"), 0o755); err != nil { //nolint:gosec // user 9000 goes through it
		return err
	}
	if err := l.do(ctx, "tar", "--numeric-owner", "-xf", l.base, "-C", filepath.Join(l.bundle, "rootfs")); err != nil {
		return err
	}
	if err := l.do(ctx, "runc", "spec", "--bundle", l.bundle); err != nil {
		return err
	}
	name := filepath.Join(l.bundle, "config.json")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var spec specs.Spec
	if err := json.Unmarshal(content, &spec); err != nil {
		return err
	}
	profile, err := seccomp.Default(nil)
	if err != nil {
		return err
	}
	spec.Process.Args = []string{"/bin/true"}
	spec.Process.Terminal = false
	spec.Process.User = specs.User{UID: 9000}
	spec.Process.Capabilities = &specs.LinuxCapabilities{}
	spec.Process.NoNewPrivileges = true
	spec.Process.Rlimits = nil
	spec.Linux.Seccomp = profile
	if content, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o600)
}

// enterMountNamespace starts the program again in a mount namespace of its own, and there makes up for a quirk
// of crun: it takes a machine with cgroup v1 for a hybrid it does not know unless hugetlb is mounted too.
func enterMountNamespace(ctx context.Context) error {
	const inside = "DECKHAND_BENCH_INSIDE"
	if os.Getenv(inside) == "" {
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		args := append([]string{"unshare", "--mount", "--propagation", "private", self}, os.Args[1:]...)
		return syscall.Exec(unshare, args, append(os.Environ(), inside+"=1"))
	}
	if !exists("/sys/fs/cgroup/memory") || exists("/sys/fs/cgroup/hugetlb/tasks") {
		return nil // pure version 2, or all is well
	}
	// A copy of the tree of mounts, with one directory more: nothing changes outside.
	const script = `set -e
old=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$old"
mount -t tmpfs none /sys/fs/cgroup
for d in "$old"/*; do mkdir "/sys/fs/cgroup/${d##*/}"; mount --rbind "$d" "/sys/fs/cgroup/${d##*/}"; done
umount -l "$old"
rmdir "$old"
mkdir /sys/fs/cgroup/hugetlb
mount -t cgroup -o hugetlb none /sys/fs/cgroup/hugetlb`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("mount hugetlb for crun: %w\n%s", err, out)
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
