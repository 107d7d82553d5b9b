package rootless

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/moby/sys/user"
)

const (
	wantedIDs  = 65536  // a container's range
	firstSubID = 100000 // where useradd's ranges start
)

// SubIDs are the subordinate ids an ordinary user may map, and what stands in the way of using them.
type SubIDs struct {
	UIDs, GIDs []user.SubID
	Missing    string // what is missing, "" if nothing
	Fix        string // the command that provides it

	uid, gid  int
	uidMapper string // paths of newuidmap and newgidmap
	gidMapper string
}

// Lookup finds the calling user's subordinate ids in /etc/subuid and /etc/subgid, and the programs
// that map them. Only an unreadable or malformed file is an error.
func Lookup() (*SubIDs, error) { return lookup(os.Geteuid(), os.Getegid()) }

func lookup(uid, gid int) (*SubIDs, error) {
	name := userName(uid)
	s := &SubIDs{uid: uid, gid: gid}
	next := int64(firstSubID)
	var err error
	if s.UIDs, err = rangesIn("/etc/subuid", name, uid, &next); err != nil {
		return nil, err
	}
	if s.GIDs, err = rangesIn("/etc/subgid", name, uid, &next); err != nil {
		return nil, err
	}
	s.findMissing(name, next)
	return s, nil
}

// userName is the passwd entry's name, or $USER where the user comes from a directory service.
func userName(uid int) string {
	if u, err := user.LookupUid(uid); err == nil {
		return u.Name
	}
	return os.Getenv("USER")
}

// rangesIn reads a file's ranges of one user, and moves next past every user's.
func rangesIn(path, name string, uid int, next *int64) ([]user.SubID, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read subordinate ids: %w", err)
	}
	defer func() { _ = f.Close() }()
	ranges, err := parseRanges(f, name, uid, next)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return ranges, nil
}

func parseRanges(r io.Reader, name string, uid int, next *int64) ([]user.SubID, error) {
	all, err := user.ParseSubID(r)
	if err != nil {
		return nil, err
	}
	var own []user.SubID
	for _, s := range all {
		if s.SubID <= 0 || s.Count <= 0 || s.SubID+s.Count > allIDs || s.SubID+s.Count < s.SubID {
			continue // newuidmap would refuse it, and 0 is never subordinate
		}
		*next = max(*next, s.SubID+s.Count)
		if (name != "" && s.Name == name) || s.Name == strconv.Itoa(uid) {
			own = append(own, s)
		}
	}
	return own, nil
}

// findMissing fills in the programs' paths, or what is missing and the fix.
func (s *SubIDs) findMissing(name string, next int64) {
	s.uidMapper, s.gidMapper = findProgram("newuidmap"), findProgram("newgidmap")
	switch {
	case s.uidMapper == "" || s.gidMapper == "":
		s.Missing, s.Fix = "the programs newuidmap and newgidmap are not installed", "sudo apt install uidmap"
	case len(s.UIDs) == 0 || len(s.GIDs) == 0:
		file := "/etc/subuid"
		if len(s.UIDs) > 0 {
			file = "/etc/subgid"
		}
		s.Missing, s.Fix = "there is no range of ids for you in "+file, addCommand(name, s.uid, next)
	}
}

// addCommand gives the user the first free range.
func addCommand(name string, uid int, first int64) string {
	last := first + wantedIDs - 1
	if name == "" {
		return fmt.Sprintf("echo %d:%d:%d | sudo tee -a /etc/subuid /etc/subgid", uid, first, wantedIDs)
	}
	return fmt.Sprintf("sudo usermod --add-subuids %d-%d --add-subgids %d-%d %s", first, last, first, last, name)
}

// findProgram looks in PATH and where distributions put it; "" if it is nowhere. That the user's PATH
// could name another program harms nobody: it would run with the user's own rights.
func findProgram(name string) string {
	dirs := append(splitPath(os.Getenv("PATH")), "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/wrappers/bin")
	for _, dir := range dirs {
		path := dir + "/" + name
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// splitPath leaves out relative directories.
func splitPath(path string) []string {
	var dirs []string
	for len(path) > 0 {
		dir := path
		if i := slices.Index([]byte(path), ':'); i >= 0 {
			dir, path = path[:i], path[i+1:]
		} else {
			path = ""
		}
		if len(dir) > 0 && dir[0] == '/' {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
