package oci

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

// maxUserFileBytes bounds etc/passwd and etc/group: an image must not make the engine read without end.
const maxUserFileBytes = 32 << 20

// maxID is the greatest uid or gid docker accepts.
const maxID = 1<<31 - 1

// User is a resolved user.
type User struct {
	UID, GID uint32
	Groups   []uint32 // primary gid first, as docker has it
	Home     string   // never empty: "/" where passwd has none
	Name     string   // the name asked for; empty where a number was
}

// ResolveUser resolves docker's USER syntax ("", uid, name, user:group) against etc/passwd and etc/group
// below root (opened with RESOLVE_IN_ROOT). Messages are docker's.
func ResolveUser(root *os.File, spec string, groupAdd []string) (User, error) {
	passwd, err := openUserFile(root, "etc/passwd")
	if err != nil {
		return User{}, err
	}
	defer passwd.close()
	group, err := openUserFile(root, "etc/group")
	if err != nil {
		return User{}, err
	}
	defer group.close()
	return resolveUser(spec, groupAdd, passwd, group)
}

// resolveUser resolves against the two files.
func resolveUser(spec string, groupAdd []string, passwd, group *userFile) (User, error) {
	x, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, passwd.reader(), group.reader())
	if err != nil {
		return User{}, sayRange(err)
	}
	if err := errors.Join(passwd.err(), group.err()); err != nil {
		return User{}, err
	}
	if !inRange(x.Uid) || !inRange(x.Gid) {
		return User{}, user.ErrRange
	}
	u := User{UID: uint32(x.Uid), GID: uint32(x.Gid), Home: x.Home} //nolint:gosec // checked just above
	if u.Home == "" {
		u.Home = "/"
	}
	if name, _, _ := strings.Cut(spec, ":"); !isNumber(name) {
		u.Name = name
	}
	more, err := additionalGroups(groupAdd, group)
	if err != nil {
		return User{}, err
	}
	u.Groups, err = groupList(x.Gid, x.Sgids, more)
	return u, err
}

// sayRange leaves docker's sentence alone where the library wraps it.
func sayRange(err error) error {
	if errors.Is(err, user.ErrRange) {
		return user.ErrRange
	}
	return err
}

func inRange(id int) bool { return id >= 0 && id <= maxID }

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// additionalGroups resolves --group-add, in ascending order.
func additionalGroups(names []string, group *userFile) ([]int, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if slices.Contains(names, "") { // the library would crash
		return nil, fmt.Errorf("Unable to find group : %w", user.ErrNoGroupEntries) //nolint:staticcheck // docker's words
	}
	if err := group.rewind(); err != nil {
		return nil, err
	}
	gids, err := user.GetAdditionalGroups(names, group.reader())
	if err != nil {
		if s, ok := strings.CutPrefix(err.Error(), "unable to find group"); ok {
			return nil, errors.New("Unable to find group" + s) // docker's words
		}
		return nil, sayRange(err)
	}
	slices.Sort(gids)
	return gids, nil
}

// groupList puts the primary gid first and drops repetitions.
func groupList(gid int, lists ...[]int) ([]uint32, error) {
	out := []uint32{uint32(gid)} //nolint:gosec // the caller checked the range
	for _, l := range lists {
		for _, g := range l {
			if !inRange(g) {
				return nil, user.ErrRange
			}
			if n := uint32(g); !slices.Contains(out, n) { //nolint:gosec // checked just above
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// SetUser puts u into the spec: ids, HOME where unset or empty, and for a non-root user no capability but
// the explicitly added ones (ambient, so that an added one has an effect). Under no_new_privs nothing can
// be gained later, and the bounding set is narrowed to the same.
func SetUser(s *specs.Spec, u User, capAdd []string) {
	p := s.Process
	p.User = specs.User{UID: u.UID, GID: u.GID, AdditionalGids: u.Groups}
	setHome(p, u.Home)
	if u.UID == 0 || p.Capabilities == nil {
		return
	}
	p.Capabilities = userCapabilities(p.Capabilities.Bounding, capAdd, p.NoNewPrivileges)
}

// userCapabilities are a non-root user's sets: those of added that the container grants at all.
func userCapabilities(granted, added []string, noNewPrivs bool) *specs.LinuxCapabilities {
	var kept []string
	if len(added) > 0 {
		if all, err := caps.Resolve(nil, added, nil); err == nil { // NewSpec has refused unknown names
			kept = slices.DeleteFunc(all, func(c string) bool { return !slices.Contains(granted, c) })
		}
	}
	bounding := granted
	if noNewPrivs {
		bounding = kept
	}
	return &specs.LinuxCapabilities{
		Bounding: bounding, Effective: kept, Permitted: kept, Inheritable: kept, Ambient: kept,
	}
}

func setHome(p *specs.Process, home string) {
	for _, e := range p.Env {
		if strings.HasPrefix(e, "HOME=") && e != "HOME=" {
			return
		}
	}
	p.Env = MergeEnv(p.Env, []string{"HOME=" + home})
}

// userFile is etc/passwd or etc/group of an image: content that may be missing, odd or endless.
type userFile struct {
	name string
	f    *os.File // nil where the image has none
	r    *io.LimitedReader
}

// openUserFile opens name below root without leaving it. What is not a regular file counts as missing.
func openUserFile(root *os.File, name string) (*userFile, error) {
	fd, err := unix.Openat2(int(root.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		return &userFile{name: name}, nil
	case err != nil:
		return nil, fmt.Errorf("open /%s of the image: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return &userFile{name: name}, errors.Join(err, unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), name)
	return &userFile{name: name, f: f, r: &io.LimitedReader{R: f, N: maxUserFileBytes}}, nil
}

// reader is nil (no typed nil) where the file is missing.
func (u *userFile) reader() io.Reader {
	if u == nil || u.r == nil {
		return nil
	}
	return u.r
}

// err reports a file that was cut off.
func (u *userFile) err() error {
	if u == nil || u.r == nil || u.r.N > 0 {
		return nil
	}
	return fmt.Errorf("/%s of the image is larger than %d bytes", u.name, maxUserFileBytes)
}

func (u *userFile) rewind() error {
	if u == nil || u.f == nil {
		return nil
	}
	u.r.N = maxUserFileBytes
	_, err := u.f.Seek(0, io.SeekStart)
	return err
}

func (u *userFile) close() {
	if u.f != nil {
		_ = u.f.Close() // read only
	}
}
