package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/moby/buildkit/solver/pb"
	fscopy "github.com/tonistiigi/fsutil/copy"
)

// fileOp is one operation of file actions under way. Actions are done in order; each works on an input of the
// operation or on what an earlier action has made.
type fileOp struct {
	s      *solver
	inputs []input
	made   []*active   // by action, until it is committed or handed on
	done   []*snapshot // by action, where it was committed
}

// file carries out COPY, ADD and WORKDIR.
func (s *solver) file(ctx context.Context, f *pb.FileOp, ins []input) (_ []*snapshot, err error) {
	op := &fileOp{s: s, inputs: ins, made: make([]*active, len(f.Actions)), done: make([]*snapshot, len(f.Actions))}
	defer func() {
		for _, a := range op.made {
			if a != nil {
				a.abort()
			}
		}
	}()
	var out []*snapshot
	for i, a := range f.Actions {
		if op.made[i], err = op.target(ctx, int(a.Input)); err != nil {
			return nil, err
		}
		if err := op.act(ctx, a, op.made[i]); err != nil {
			return nil, cleanError(err, op.made[i].root)
		}
		if a.Output < 0 {
			continue
		}
		if op.done[i], err = op.made[i].commit(ctx); err != nil {
			return nil, err
		}
		op.made[i] = nil
		for int(a.Output) >= len(out) {
			out = append(out, &snapshot{})
		}
		out[a.Output] = op.done[i]
	}
	return out, nil
}

// target is what an action writes to.
func (op *fileOp) target(ctx context.Context, in int) (*active, error) {
	n := len(op.inputs)
	if in >= n && op.made[in-n] != nil {
		a := op.made[in-n]
		op.made[in-n] = nil
		return a, nil
	}
	sn, err := op.snap(in)
	if err != nil {
		return nil, err
	}
	return op.s.stage.newActive(ctx, sn)
}

// snap is an input, an output of an earlier action, or scratch.
func (op *fileOp) snap(in int) (*snapshot, error) {
	n := len(op.inputs)
	switch {
	case in < 0:
		return &snapshot{}, nil
	case in < n:
		return op.inputs[in].snap, nil
	case op.done[in-n] != nil:
		return op.done[in-n], nil
	}
	return nil, fmt.Errorf("invalid file operation: action %d has no result", in-n)
}

func (op *fileOp) act(ctx context.Context, a *pb.FileAction, target *active) error {
	switch x := a.Action.(type) {
	case *pb.FileAction_Mkdir:
		return op.mkdir(x.Mkdir, target)
	case *pb.FileAction_Mkfile:
		return op.mkfile(x.Mkfile, target)
	case *pb.FileAction_Copy:
		return op.copy(ctx, x.Copy, int(a.SecondaryInput), target)
	}
	return fmt.Errorf("file action %T is not there yet", a.Action)
}

// inRoot is where p lies below root, every symlink resolved inside it.
func inRoot(root, p string) (string, error) {
	abs, err := securejoin.SecureJoin(root, path.Join("/", p))
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", p, err)
	}
	return abs, nil
}

func (op *fileOp) mkdir(m *pb.FileActionMkDir, target *active) error {
	p, err := inRoot(target.root, m.Path)
	if err != nil {
		return err
	}
	own, err := op.owner(m.Owner)
	if err != nil {
		return err
	}
	mode := fs.FileMode(m.Mode) & 0o777 //nolint:gosec // masked
	if m.MakeParents {
		if _, err := fscopy.MkdirAll(p, mode, own, timeOf(m.Timestamp)); err != nil {
			return fmt.Errorf("make directory %s: %w", m.Path, err)
		}
		return nil
	}
	if err := os.Mkdir(p, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return fmt.Errorf("make directory %s: %w", m.Path, err)
	}
	if err := os.Chmod(p, mode); err != nil { // whatever the umask made of it
		return fmt.Errorf("set mode of %s: %w", m.Path, err)
	}
	return finish(p, own, timeOf(m.Timestamp))
}

// mkfile makes an inline document. It is written beside its name and renamed, so that it never goes through
// what has that name already.
func (op *fileOp) mkfile(m *pb.FileActionMkFile, target *active) error {
	dir, err := inRoot(target.root, path.Dir(path.Join("/", m.Path)))
	if err != nil {
		return err
	}
	own, err := op.owner(m.Owner)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".mkfile-")
	if err != nil {
		return fmt.Errorf("make file %s: %w", m.Path, err)
	}
	_, err = f.Write(m.Data)
	err = errors.Join(err, f.Chmod(fs.FileMode(m.Mode)&0o777), f.Close()) //nolint:gosec // masked
	if err == nil {
		err = finish(f.Name(), own, timeOf(m.Timestamp))
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, path.Base(m.Path)))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the layer is thrown away as well
		return fmt.Errorf("make file %s: %w", m.Path, err)
	}
	return nil
}

func finish(p string, own fscopy.Chowner, t *time.Time) error {
	if err := fscopy.Chown(p, nil, own); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := fscopy.Utimes(p, t); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

// timeOf is an action's time; nil keeps what is there.
func timeOf(ns int64) *time.Time {
	if ns == -1 {
		return nil
	}
	t := time.Unix(0, ns)
	return &t
}

func (op *fileOp) copy(ctx context.Context, c *pb.FileActionCopy, from int, target *active) error {
	sn, err := op.snap(from)
	if err != nil {
		return err
	}
	t, release, err := op.s.stage.view(sn)
	if err != nil {
		return err
	}
	defer release()
	own, err := op.owner(c.Owner)
	if err != nil {
		return err
	}
	cp := &copyAction{FileActionCopy: c, t: t, root: target.root, own: own, tolerate: op.s.b.SingleID}
	if own == nil {
		cp.own = t.owner()
	}
	srcs, err := t.sources(copySelector(c))
	if err != nil {
		return err
	}
	if len(srcs) == 0 && !c.AllowEmptyWildcard {
		return &notFoundError{path: c.Src}
	}
	for _, src := range srcs {
		if err := cp.one(ctx, src); err != nil {
			return cleanError(err, t.dir)
		}
	}
	return nil
}

// copyAction is one COPY or ADD under way.
type copyAction struct {
	*pb.FileActionCopy
	t        *tree
	root     string // what is copied into
	own      fscopy.Chowner
	tolerate bool // owners that cannot be set are no error
}

// one copies a single source, or unpacks it where it is an archive and ADD asks for that.
func (c *copyAction) one(ctx context.Context, src sourcePath) error {
	dest := cleanDest(c.Dest)
	if !c.CreateDestPath {
		p, err := inRoot(c.root, dest)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Dir(p)); err != nil {
			return fmt.Errorf("find %s: %w", c.Dest, err)
		}
	}
	if c.AttemptUnpackDockerCompatibility {
		if done, err := c.unpack(ctx, src.rel, dest); done || err != nil {
			return err
		}
	}
	_, hidden, err := c.t.walk(ctx, src.rel)
	if err != nil {
		return err
	}
	return fscopy.Copy(ctx, c.t.dir, "/"+src.name, c.root, dest, func(ci *fscopy.CopyInfo) {
		ci.FollowLinks = c.FollowSymlink // inside the tree
		ci.IncludePatterns = c.IncludePatterns
		ci.ExcludePatterns = append(append([]string{}, c.ExcludePatterns...), literalPatterns(hidden)...)
		ci.Chown, ci.Utime = c.own, timeOf(c.Timestamp)
		if m := int(c.Mode); c.ModeStr == "" && m != -1 {
			ci.Mode = &m
		}
		ci.ModeStr = c.ModeStr
		ci.CopyDirContents = c.DirCopyContents
		ci.AlwaysReplaceExistingDestPaths = c.AlwaysReplaceExistingDestPaths
		ci.XAttrErrorHandler = func(_, _, _ string, _ error) error { return nil } // a filesystem without them
	})
}

// cleanDest keeps a trailing slash, which says that the destination is a directory.
func cleanDest(p string) string {
	clean := path.Join("/", p)
	if (strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.")) && clean != "/" {
		clean += "/"
	}
	return clean
}

// literalPatterns are patterns that match exactly these paths.
func literalPatterns(paths []string) []string {
	r := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = r.Replace(p)
		if strings.HasPrefix(p, "!") || strings.HasPrefix(p, " ") {
			out[i] = `\` + out[i]
		}
		if strings.HasSuffix(p, " ") {
			out[i] = out[i][:len(out[i])-1] + "[ ]"
		}
	}
	return out
}

// owner gives what is copied from a build context to root; from elsewhere owners are kept.
func (t *tree) owner() fscopy.Chowner {
	if !t.local {
		return nil
	}
	return chownTo(0, 0)
}

func chownTo(uid, gid int) fscopy.Chowner {
	return func(*fscopy.User) (*fscopy.User, error) { return &fscopy.User{UID: uid, GID: gid}, nil }
}

func ownerOf(fi fs.FileInfo) (uid, gid int, ok bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// cleanError takes the place where a root is mounted out of a message: what is left is the path inside it.
func cleanError(err error, root string) error {
	if err == nil || !strings.Contains(err.Error(), root) {
		return err
	}
	return &cleanedError{err: err, msg: strings.ReplaceAll(strings.ReplaceAll(err.Error(), root+"/", "/"), root, "/")}
}

type cleanedError struct {
	err error
	msg string
}

// Error is the message without the mount's path.
func (e *cleanedError) Error() string { return e.msg }

// Unwrap returns the original error.
func (e *cleanedError) Unwrap() error { return e.err }
