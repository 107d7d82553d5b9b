package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Mount targets must exist in the root, but making them in the upper directory would leave empty files in
// what a build commits. So they come from a read-only layer below the image's own: one that all
// containers share, and one of its own where a container has more mounts.

// stubVersion changes when the content of the shared layer does.
const stubVersion = "v1"

// stubs returns the sandbox's lower directories with the mount targets below them.
func (e *Engine) stubs(s *Sandbox, r *Running) ([]string, error) {
	shared, err := e.sharedStub()
	if err != nil {
		return nil, err
	}
	lower := make([]string, 0, len(s.Lower)+2)
	lower = append(lower, shared)
	extra := extraTargets(s.Options.Mounts)
	if len(extra) > 0 {
		dir, err := e.ownStub(s, r)
		if err != nil {
			return nil, err
		}
		if err := makeTargets(dir, extra); err != nil {
			return nil, fmt.Errorf("make mount targets: %w", err)
		}
		lower = append(lower, dir)
	}
	return append(lower, s.Lower...), nil
}

// extraTargets are the mounts whose target the shared layer does not have.
func extraTargets(mounts []specs.Mount) []specs.Mount {
	var out []specs.Mount
	for _, m := range mounts {
		switch path.Clean(m.Destination) {
		case "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/":
		default:
			out = append(out, m)
		}
	}
	return out
}

// ownStub makes an empty directory that lives as long as the sandbox runs.
func (e *Engine) ownStub(s *Sandbox, r *Running) (string, error) {
	if s.UpperBase == "" {
		tmp, err := e.Store.TempDir("stub")
		if err != nil {
			return "", err
		}
		r.onRelease(func(context.Context) error { return tmp.Close() })
		return tmp.Path, os.Chmod(tmp.Path, 0o755) //nolint:gosec // a layer of a root
	}
	dir := filepath.Join(s.UpperBase, "stub")
	r.onRelease(func(context.Context) error { return os.RemoveAll(dir) })
	if err := os.RemoveAll(dir); err != nil { // of a run before this one
		return "", err
	}
	return dir, mkdir(dir, 0o755)
}

// makeTargets makes an empty file where a file is mounted, a directory elsewhere. dir is ours and has no
// symlinks, so a cleaned path stays inside.
func makeTargets(dir string, mounts []specs.Mount) error {
	for _, m := range mounts {
		p := filepath.Join(dir, path.Clean("/"+m.Destination))
		if !isFileMount(m) {
			if err := os.MkdirAll(p, 0o755); err != nil { //nolint:gosec // as in any root
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil { //nolint:gosec // as in any root
			return err
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil && !errors.Is(err, unix.EISDIR) { //nolint:gosec // as in any root
			return err
		}
	}
	return nil
}

func isFileMount(m specs.Mount) bool {
	if m.Type != "bind" && m.Type != "" {
		return false
	}
	st, err := os.Stat(m.Source)
	return err == nil && !st.IsDir()
}

// sharedStub is <root>/stubs/<version>, made once and complete when it has its name.
func (e *Engine) sharedStub() (string, error) {
	dir := filepath.Join(e.Store.Root(), "stubs", stubVersion)
	if _, err := os.Lstat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // layers are found through it by any user
		return "", fmt.Errorf("make stub layer: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return "", fmt.Errorf("make stub layer: %w", err)
	}
	if err := fillStub(tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		rm := os.RemoveAll(tmp)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) { // another process was first
			return dir, rm
		}
		return "", errors.Join(err, rm)
	}
	return dir, nil
}

func fillStub(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // becomes / where the image has none
		return err
	}
	for _, d := range []string{"dev", "etc", "proc", "sys"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil { //nolint:gosec // a root's own directories
			return err
		}
	}
	for _, f := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil { //nolint:gosec // as in any root
			return err
		}
	}
	return nil
}
