package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// member is a container's group in a hierarchy of version 1.
type member struct {
	controllers []string
	dir         string
}

// record is the extended attribute in which a home keeps its members.
const record = "user.deckhand.v1"

// remember records the members on the home, before they are made.
func (g *Group) remember() error {
	var b strings.Builder
	for _, m := range g.members {
		b.WriteString(strings.Join(m.controllers, ",") + " " + m.dir + "\n")
	}
	err := unix.Fsetxattr(int(g.handle.Fd()), record, []byte(b.String()), 0)
	if err != nil {
		return fmt.Errorf("record the hierarchies of %s: %w", g.Path, err)
	}
	return nil
}

// recall reads what remember wrote: one system call for a group without members.
func (g *Group) recall() error {
	buf := make([]byte, 8<<10)
	n, err := unix.Fgetxattr(int(g.handle.Fd()), record, buf)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP): // none; or a kernel that cannot, so neither could remember
		return nil
	case err != nil:
		return fmt.Errorf("read the hierarchies of %s: %w", g.Path, err)
	}
	g.members = parseRecord(string(buf[:n]))
	return nil
}

func parseRecord(text string) []member {
	var list []member
	for line := range strings.Lines(text) {
		controllers, dir, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && filepath.IsAbs(dir) && controllers != "" {
			list = append(list, member{strings.Split(controllers, ","), filepath.Clean(dir)})
		}
	}
	return list
}

// memberOf is the container's group with a controller of version 1, nil without.
func (g *Group) memberOf(controller string) *member {
	for i := range g.members {
		if slices.Contains(g.members[i].controllers, controller) {
			return &g.members[i]
		}
	}
	return nil
}

// join makes the container a member of the hierarchies of these controllers; those that it was not before are returned.
func (g *Group) join(h *host, rel string, controllers []string) ([]member, error) {
	before := len(g.members)
	for _, c := range controllers {
		if g.memberOf(c) == nil {
			v1 := h.v1Of(c)
			g.members = append(g.members, member{v1.controllers, filepath.Join(v1.dir, rel)})
		}
	}
	added := g.members[before:]
	if len(added) == 0 {
		return nil, nil
	}
	if err := g.remember(); err != nil {
		g.members = g.members[:before]
		return nil, err
	}
	for _, m := range added {
		if _, err := makeDir(m.dir); err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		if slices.Contains(m.controllers, "cpuset") {
			if err := fillCpuset(h.v1Of("cpuset").dir, m.dir); err != nil {
				return nil, err
			}
		}
	}
	return added, nil
}

// fillCpuset gives groups from the mount point down the processors and memory of their parents: version 1's start
// with none, and take no process then.
func fillCpuset(top, dir string) error {
	if len(dir) <= len(top) {
		return nil
	}
	if err := fillCpuset(top, filepath.Dir(dir)); err != nil {
		return err
	}
	for _, name := range [...]string{"cpuset.cpus", "cpuset.mems"} {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("read cpuset: %w", err)
		}
		if strings.TrimSpace(string(have)) != "" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
		if err == nil {
			err = writeFile(filepath.Join(dir, name), strings.TrimSpace(string(b)))
		}
		if err != nil {
			return fmt.Errorf("fill cpuset: %w", err)
		}
	}
	return nil
}
