package cgroup

import (
	"path/filepath"
	"slices"
	"strings"
)

// delegation are groups of the unified tree below which an ordinary user may be allowed to make some, the best first.
type delegation struct {
	inside  []string // those that this process is below: what it starts can be born there
	outside []string // that of the user's systemd, for a login session outside of it: what was made there can be found
}

// all are those where a group may be.
func (d delegation) all() []string { return slices.Concat(d.inside, d.outside) }

// delegated finds them by our own group.
func delegated(root string) delegation {
	list, err := memberships("self")
	if err != nil {
		return delegation{}
	}
	for _, m := range list {
		if m.controllers == nil {
			return delegatedFrom(root, m.path)
		}
	}
	return delegation{}
}

// delegatedFrom knows systemd's names: user-1000.slice has user@1000.service, whose groups are the user's, and
// session-1.scope, which is root's. Elsewhere our own group may have been delegated (Delegate=), and the one above it, in
// which there are no processes, so that it can pass controllers on.
func delegatedFrom(root, own string) delegation {
	var d delegation
	dirs := strings.Split(filepath.Clean(own), "/")
	for i, name := range dirs {
		if strings.HasPrefix(name, "user@") && strings.HasSuffix(name, ".service") {
			d.inside = []string{filepath.Join(root, filepath.Join(dirs[:i+1]...))}
			return d
		}
	}
	for i, name := range dirs {
		id, isUser := strings.CutPrefix(name, "user-")
		if id, isSlice := strings.CutSuffix(id, ".slice"); isUser && isSlice {
			d.outside = []string{filepath.Join(root, filepath.Join(dirs[:i+1]...), "user@"+id+".service")}
		}
	}
	if own != "/" {
		d.inside = []string{filepath.Join(root, filepath.Dir(own)), filepath.Join(root, own)}
	}
	return d
}
