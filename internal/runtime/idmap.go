package runtime

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
)

// shifts reports whether the mount's ids are to be shifted.
func (o *options) shifts(m *specs.Mount) bool {
	return o.idmap || len(m.UIDMappings)+len(m.GIDMappings) > 0
}

// idmap shifts the ids by the mount's own mappings, or else by the container's user namespace.
func (p *preparer) idmap(src *os.File, o *options, m *specs.Mount) error {
	userns := p.userns
	own := len(m.UIDMappings)+len(m.GIDMappings) > 0
	if own && len(m.UIDMappings)*len(m.GIDMappings) == 0 {
		return errors.New("uidMappings and gidMappings need each other")
	}
	if own && (p.userns == nil || !slices.Equal(m.UIDMappings, p.ids.uids) || !slices.Equal(m.GIDMappings, p.ids.gids)) {
		made, err := makeUserns(idMap(m.UIDMappings), idMap(m.GIDMappings))
		if err != nil {
			return fmt.Errorf("make a user namespace of uidMappings and gidMappings: %w", err)
		}
		defer func() { _ = made.Close() }() // the mount has it
		userns = made
	}
	if userns == nil {
		return errors.New("an idmapped mount needs a user namespace, or uidMappings and gidMappings")
	}
	if p.strictIDMap {
		return mount.IDMap(src, userns, o.recIDMap)
	}
	return idmapWherePossible(src, userns, o.recursive)
}

// idmapWherePossible leaves a mount as it is whose filesystem (or a mount below) has no support: its
// files then belong to nobody in the container.
func idmapWherePossible(src, userns *os.File, recursive bool) error {
	err := mount.IDMap(src, userns, recursive)
	if err != nil && recursive && mount.Unsupported(err) {
		err = mount.IDMap(src, userns, false)
	}
	if err != nil && !mount.Unsupported(err) {
		return err
	}
	return nil
}

// makeUserns makes a user namespace that maps these ids. The process it takes never executes anything:
// it stops at the execve, traced, and is killed.
func makeUserns(uids, gids []syscall.SysProcIDMap) (*os.File, error) {
	goruntime.LockOSThread() // the tracer is a thread
	defer goruntime.UnlockOSThread()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"deckhand-userns"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: uids, GidMappings: gids, GidMappingsEnableSetgroups: true,
		Ptrace: true, Pdeathsig: syscall.SIGKILL,
	}})
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	_ = unix.Kill(pid, unix.SIGKILL) // ours, and stopped
	for {
		var ws unix.WaitStatus
		if _, wait := unix.Wait4(pid, &ws, 0, nil); wait != unix.EINTR && (wait != nil || ws.Exited() || ws.Signaled()) {
			return f, err
		}
	}
}
