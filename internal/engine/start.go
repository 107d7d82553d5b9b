package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/oci"
)

// Start acquires id range and cgroup, mounts the root and starts. On error nothing is left behind.
func (e *Engine) Start(ctx context.Context, s *Sandbox) (*Running, error) {
	r := &Running{}
	if err := e.start(ctx, s, r); err != nil {
		return nil, errors.Join(err, r.release(ctx))
	}
	return r, nil
}

func (e *Engine) start(ctx context.Context, s *Sandbox, r *Running) error {
	if s.Init {
		if err := checkStatic("--init"); err != nil {
			return err
		}
	}
	opts := s.Options
	if err := checkRlimits(opts.Rlimits); err != nil {
		return err
	}
	if err := e.assignIDs(s, &opts, r); err != nil {
		return err
	}
	if err := e.joinGroup(s, &opts, r); err != nil {
		return err
	}
	if err := checkShared(&opts, r.group); err != nil {
		return err
	}
	lower, err := e.stubs(s, r)
	if err != nil {
		return err
	}
	r.Spec, err = oci.NewSpec(opts)
	if err != nil {
		return err
	}
	dropMissing(r.Spec, opts.Shared)
	o := runtime.StartOptions{
		ID:   s.ID,
		Spec: r.Spec,
		Rootfs: func(userns *os.File) (*os.File, error) {
			return e.rootfs(ctx, s, r, overlay{lower, userns})
		},
		Detached: s.detached,
		Attach:   s.Attach,
		Stdio:    s.Stdio,
		Init:     s.Init,
		Cgroup:   r.group.Dir,
		Enter:    r.group.Enter,
	}
	if s.Network != nil {
		o.Network = s.Network.Attach
	}
	return r.run(ctx, o, s)
}

// withoutIDMap takes the option off: in the user's namespace ids are the container's already.
func withoutIDMap(mounts []specs.Mount) []specs.Mount {
	out := slices.Clone(mounts)
	for i := range out {
		out[i].Options = slices.DeleteFunc(slices.Clone(out[i].Options), func(o string) bool { return o == "idmap" || o == "ridmap" })
	}
	return out
}

// mappedIDs is how many ids from 0 upwards this process's user namespace maps without a gap, at most 65536.
func mappedIDs() (uint32, error) {
	least := uint32(idrange.Size)
	for _, p := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		b, err := os.ReadFile(p)
		if err != nil {
			return 0, fmt.Errorf("read id map: %w", err)
		}
		least = min(least, contiguous(string(b)))
	}
	return least, nil
}

func (e *Engine) joinGroup(s *Sandbox, opts *oci.SpecOptions, r *Running) error {
	group, err := s.Limits.makeGroup(s.ID)
	if err != nil {
		return err
	}
	r.group, r.limits = group, s.Limits
	_, survivors := opts.SharedNamespace(specs.PIDNamespace)
	r.onRelease(func(context.Context) error { return endGroup(group, survivors) })
	opts.CgroupsPath = s.Limits.cgroupsPath(s.ID)
	return nil
}

// endGroup removes a cgroup. Its processes died with the container's first, but for those of a pid namespace that did
// not end with it; what is left nevertheless is killed.
func endGroup(g *cgroup.Group, survivors bool) error {
	if g == nil || g.Path == "" {
		return nil
	}
	if survivors {
		if err := g.Kill(); err != nil {
			return err
		}
	}
	if err := g.Remove(); err == nil {
		return nil
	}
	if err := g.Kill(); err != nil {
		return err
	}
	return g.Remove()
}

// overlay is what a root is mounted from besides the sandbox's own directories.
type overlay struct {
	lower  []string
	userns *os.File
}

// rootfs mounts the container's root and finishes the spec from what is in it.
func (e *Engine) rootfs(ctx context.Context, s *Sandbox, r *Running, on overlay) (*os.File, error) {
	o := mount.Overlay{
		Lower:     on.lower,
		Upper:     s.Upper,
		Work:      s.Work,
		UpperBase: s.UpperBase,
		Volatile:  s.Volatile,
		UserXattr: e.Rootless,
		// Under no_new_privs a file capability gives nothing, but a program that has one outside the bounding
		// set (ping) cannot even be executed: on such a mount it is a program like any other.
		NoSuid: r.Spec.Process.NoNewPrivileges,
	}
	if !e.Rootless {
		o.IDMap = on.userns // nil without a user namespace
	}
	root, err := o.Mount()
	if err != nil {
		return nil, fmt.Errorf("mount root: %w", err)
	}
	if err := e.finishSpec(ctx, s, r, root); err != nil {
		_ = root.Close() // nothing was written through it
		return nil, err
	}
	return root, nil
}

func (e *Engine) finishSpec(ctx context.Context, s *Sandbox, r *Running, root *os.File) error {
	u, err := oci.ResolveUser(root, s.User, s.GroupAdd)
	if err != nil {
		return err
	}
	if s.CheckUser != nil {
		if err := s.CheckUser(u); err != nil {
			return err
		}
	}
	if e.SingleID {
		dropUnmapped(&u, r.ids.IDCount)
	}
	if err := checkMapped(u, r.ids.IDCount); err != nil {
		return err
	}
	r.User = u
	oci.SetUser(r.Spec, u, s.Options.Added())
	for _, v := range s.Volumes {
		if err := e.prepare(ctx, v, root, int(r.ids.HostIDBase)); err != nil {
			return fmt.Errorf("fill volume %s: %w", v.Path, err)
		}
	}
	if s.Filled != nil {
		s.Filled(r)
	}
	return nil
}

// UnmappedError is a user or group the container's user namespace does not know.
type UnmappedError struct {
	ID    uint32
	Count uint32 // ids 0 … Count-1 are mapped
}

// Error says which ids there are.
func (e *UnmappedError) Error() string {
	if e.Count == 1 {
		return fmt.Sprintf("id %d cannot be used: without subordinate ids a container has only id 0", e.ID)
	}
	return fmt.Sprintf("id %d cannot be used: a container has the ids 0-%d", e.ID, e.Count-1)
}

// dropUnmapped leaves out the supplementary groups that a namespace with a single id cannot have: root of most
// images has some.
func dropUnmapped(u *oci.User, count uint32) {
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(g uint32) bool { return g >= count && g != u.GID })
}

func checkMapped(u oci.User, count uint32) error {
	for _, id := range append([]uint32{u.UID}, u.Groups...) {
		if id >= count {
			return &UnmappedError{ID: id, Count: count}
		}
	}
	return nil
}

// mkdir makes one directory that may be there.
func mkdir(path string, mode uint32) error {
	if err := unix.Mkdir(path, mode); err != nil && !errors.Is(err, unix.EEXIST) {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}
