package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/sys/user"
	fscopy "github.com/tonistiigi/fsutil/copy"
)

// maxUserFile bounds /etc/passwd and /etc/group, which come from an image.
const maxUserFile = 10 << 20

// owner resolves --chown, or the USER a WORKDIR belongs to; nil: none was given. Names are looked up in the
// root they will belong to. BuildKit gives files of a name that it does not find to root; here that is an
// error, as it is for USER.
func (op *fileOp) owner(o *pb.ChownOpt) (fscopy.Chowner, error) {
	if o == nil {
		return nil, nil
	}
	uid, gid := 0, 0
	switch u := o.User.GetUser().(type) {
	case *pb.UserOpt_ByID:
		uid, gid = int(u.ByID), int(u.ByID)
	case *pb.UserOpt_ByName:
		found, err := op.lookUp(u.ByName, "etc/passwd", func(r io.Reader) (bool, error) {
			us, err := user.ParsePasswdFilter(r, func(x user.User) bool { return x.Name == u.ByName.Name })
			if len(us) > 0 {
				uid, gid = us[0].Uid, us[0].Gid
			}
			return len(us) > 0, err
		})
		if err != nil || !found {
			return nil, notInFile("user", u.ByName.Name, "passwd", err)
		}
	}
	switch g := o.Group.GetUser().(type) {
	case *pb.UserOpt_ByID:
		gid = int(g.ByID)
	case *pb.UserOpt_ByName:
		found, err := op.lookUp(g.ByName, "etc/group", func(r io.Reader) (bool, error) {
			gs, err := user.ParseGroupFilter(r, func(x user.Group) bool { return x.Name == g.ByName.Name })
			if len(gs) > 0 {
				gid = gs[0].Gid
			}
			return len(gs) > 0, err
		})
		if err != nil || !found {
			return nil, notInFile("group", g.ByName.Name, "group", err)
		}
	}
	return chownTo(uid, gid), nil
}

func notInFile(what, name, file string, err error) error {
	if err != nil {
		return fmt.Errorf("find %s %s: %w", what, name, err)
	}
	return fmt.Errorf("unable to find %s %s: no matching entries in %s file", what, name, file)
}

// lookUp reads a file of the root in which a name is to be found; a missing file has no names.
func (op *fileOp) lookUp(n *pb.NamedUserOpt, file string, parse func(io.Reader) (bool, error)) (bool, error) {
	t, release, err := op.view(int(n.Input))
	if err != nil {
		return false, err
	}
	defer release()
	rel, err := t.resolve(file, true)
	if err != nil {
		return false, err
	}
	f, err := openRegular(t.host(rel))
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return parse(io.LimitReader(f, maxUserFile))
}

// view reads an input, also one that is being written right now.
func (op *fileOp) view(in int) (*tree, func(), error) {
	if i := in - len(op.inputs); i >= 0 && i < len(op.made) && op.made[i] != nil {
		return &tree{dir: op.made[i].root}, func() {}, nil
	}
	sn, err := op.snap(in)
	if err != nil {
		return nil, nil, err
	}
	return op.s.stage.view(sn)
}

// openRegular opens a regular file that came from an image: no device, which opening alone may set off, and no pipe.
func openRegular(p string) (*os.File, error) {
	fi, err := os.Lstat(p)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", fi.Name())
	}
	return os.OpenFile(p, openFlags, 0)
}
