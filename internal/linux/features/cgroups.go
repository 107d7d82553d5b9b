package features

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// cgroups makes a group, has a process born into it, and kills the group.
func (p *prober) cgroups() Feature {
	layout, root := cgroupLayout("/sys/fs/cgroup")
	if root == "" {
		return no(layout, "boot with systemd.unified_cgroup_hierarchy=1 (containers run without a cgroup of their own)")
	}
	layout += ", controllers: " + controllers(root)
	g, err := cgroup.New(fmt.Sprintf("info-%d", os.Getpid()))
	if err != nil {
		return no(layout+": "+err.Error(), "")
	}
	if g.Dir == nil {
		return no(layout+"; not yours to use: containers run without a cgroup of their own", "")
	}
	err = tryFork(&syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.Dir.Fd())})
	if err != nil {
		err = fmt.Errorf("start a process in a cgroup: %w", err)
	}
	if err == nil {
		err = killGroup(g.Path)
	}
	err = errors.Join(err, g.Remove())
	_ = os.Remove(filepath.Dir(g.Path)) // unless containers are in there
	return outcome(err, layout, "upgrade to Linux 5.14 or newer")
}

// killGroup uses cgroup.kill itself: the package has another way for kernels without.
func killGroup(path string) error {
	f, err := os.OpenFile(filepath.Join(path, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("1")
	return errors.Join(err, f.Close())
}

// cgroupLayout says which versions are mounted below base, and where the version 2 tree is ("" if nowhere).
func cgroupLayout(base string) (layout, root string) {
	switch unified := filepath.Join(base, "unified"); {
	case isCgroup2(base):
		return "v2", base
	case isCgroup2(unified):
		return "v2 beside v1 (hybrid)", unified
	}
	if _, err := os.Stat(base); err != nil {
		return "not mounted", ""
	}
	return "v1 only", ""
}

func isCgroup2(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

func controllers(root string) string {
	b, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if names := strings.Join(strings.Fields(string(b)), " "); err == nil && names != "" {
		return names
	}
	return "none"
}
