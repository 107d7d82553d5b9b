package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// removeStubs removes empty mount targets from the layer a step has written. The engine keeps them out of it, but
// where the step's base has removed a target's directory, the runtime has to make it anew.
func (x *execution) removeStubs() error {
	root, err := os.OpenRoot(x.root.layer.Dir)
	if err != nil {
		return fmt.Errorf("open layer: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	var parents []string
	for _, t := range x.targets() {
		if isStub(root, t) && root.Remove(t) == nil { // else it is not empty: the step has written there
			parents = append(parents, path.Dir(t))
		}
	}
	if len(parents) == 0 {
		return nil
	}
	return x.removeParents(root, parents)
}

// targets are the paths something was mounted at.
func (x *execution) targets() []string {
	ts := []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev"}
	for _, m := range x.mounts {
		ts = append(ts, strings.TrimPrefix(filepath.Clean(m.Destination), "/"))
	}
	return ts
}

// isStub reports whether the layer has a directory or an empty file at t.
func isStub(root *os.Root, t string) bool {
	fi, err := root.Lstat(t)
	return err == nil && (fi.IsDir() || fi.Mode().IsRegular() && fi.Size() == 0)
}

// removeParents removes the directories above a target that the step's base does not have and that are empty.
func (x *execution) removeParents(root *os.Root, parents []string) error {
	t, release, err := x.s.stage.view(x.root.base)
	if err != nil {
		return err
	}
	defer release()
	for _, dir := range parents {
		for ; dir != "." && dir != "/"; dir = path.Dir(dir) {
			if _, err := os.Lstat(t.host(dir)); !errors.Is(err, fs.ErrNotExist) || root.Remove(dir) != nil {
				break
			}
		}
	}
	return nil
}
