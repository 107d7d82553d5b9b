// Package cgroup makes and removes one cgroup a container, on v2, hybrid and v1 hosts.
package cgroup

import (
	"errors"
	"os"
)

// Group is a container's cgroup. With v2 (pure or hybrid) Dir is a file for CLONE_INTO_CGROUP.
type Group struct {
	Path string
	Dir  *os.File // nil where no v2 tree is writable
}

// New makes deckhand/<id>. Where no tree is writable (rootless without delegation) Path is "" and err nil.
func New(id string) (*Group, error) { return nil, errors.ErrUnsupported }

// Open finds the group of id.
func Open(id string) (*Group, error) { return nil, errors.ErrUnsupported }

// Kill ends every process in it (cgroup.kill).
func (g *Group) Kill() error { return errors.ErrUnsupported }

// Remove removes it; processes must be gone.
func (g *Group) Remove() error { return errors.ErrUnsupported }
