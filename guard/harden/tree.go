package harden

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxLinks is how many symbolic links a path may lead through, as the kernel has it.
const maxLinks = 40

// tree is what an image's files are, without their content.
type tree struct {
	files map[string]guard.File
	full  map[string]bool // directories that hold something besides directories, somewhere below
	holds map[string]bool // directories that hold something besides directories, themselves
	// parents are the directories that are not empty.
	parents map[string]bool
	// passwd and group are the content of /etc/passwd and /etc/group.
	passwd, group string
	users         map[string]string // ids by name, as /etc/passwd has them
	groups        map[string]string // the same of /etc/group
}

func readTree(ctx context.Context, img *guard.Image) (*tree, error) {
	t := &tree{files: map[string]guard.File{}, full: map[string]bool{}, holds: map[string]bool{}, parents: map[string]bool{}}
	if img.Files == nil {
		return t, nil
	}
	err := img.Files.Walk(ctx, func(f guard.File) error {
		t.files[f.Path] = f
		t.parents[path.Dir(f.Path)] = true
		if !f.Mode.IsDir() {
			t.holds[path.Dir(f.Path)] = true
			for d := path.Dir(f.Path); d != "/" && !t.full[d]; d = path.Dir(d) {
				t.full[d] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the image's files: %w", err)
	}
	accounts, err := img.Files.Read(ctx, "/etc/passwd", "/etc/group")
	if err != nil {
		return nil, fmt.Errorf("read the image's users: %w", err)
	}
	t.passwd, t.group = string(accounts["/etc/passwd"]), string(accounts["/etc/group"])
	t.users, t.groups = idsOf(t.passwd), idsOf(t.group)
	return t, nil
}

// idsOf are the ids of an accounts file, by name.
func idsOf(accounts string) map[string]string {
	ids := map[string]string{}
	for line := range strings.Lines(accounts) {
		if f := strings.Split(line, ":"); len(f) > 2 {
			ids[f[0]] = f[2]
		}
	}
	return ids
}

// stat is the file at a path that was resolved.
func (t *tree) stat(p string) (guard.File, bool) {
	if p == "/" {
		return guard.File{Path: "/", Mode: fs.ModeDir | 0o755}, true
	}
	f, ok := t.files[p]
	return f, ok
}

func (t *tree) isDir(p string) bool {
	f, ok := t.stat(p)
	return ok && f.Mode.IsDir()
}

// resolve follows the symbolic links of a path's directories, and of its last part as well if that is asked for.
// What does not exist stays as it is.
func (t *tree) resolve(p string, last bool) string {
	at := "/"
	for next := range t.walk(p, last) {
		at = next
	}
	return at
}

// walk goes along a path as the kernel does, and through its symbolic links: it yields each file on the way that is no
// link, and whether it is the last.
func (t *tree) walk(p string, last bool) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		rest := strings.Split(p, "/")
		at, links := "/", 0
		for len(rest) > 0 {
			name := rest[0]
			rest = rest[1:]
			next := path.Join(at, name) // behind a link, ".." leads to where the link's target is
			f, ok := t.files[next]
			if !ok || f.Mode&fs.ModeSymlink == 0 || links >= maxLinks || len(rest) == 0 && !last {
				at = next
				if !yield(at, len(rest) == 0) {
					return
				}
				continue
			}
			links++
			if path.IsAbs(f.Link) {
				at = "/"
			}
			rest = slices.Concat(strings.Split(f.Link, "/"), rest)
		}
	}
}

// may reports whether somebody with the ids has the permission bits (4 read, 2 write, 1 enter or execute).
func may(f guard.File, uid, gid uint32, bits fs.FileMode) bool {
	perm := f.Mode.Perm()
	switch {
	case f.UID == uid:
		return perm>>6&bits == bits
	case f.GID == gid:
		return perm>>3&bits == bits
	}
	return perm&bits == bits
}

// obstacles are the files on the way along a path that keep the ids from reading it (with execute: from running it):
// directories that may not be entered, those of links included, and the file itself.
func (t *tree) obstacles(p string, uid, gid uint32, execute bool) []guard.File {
	var out []guard.File
	for at, isLast := range t.walk(p, true) {
		f, ok := t.stat(at)
		if !ok {
			break
		}
		need := fs.FileMode(4)
		switch {
		case f.Mode.IsDir() && isLast:
			need = 5
		case f.Mode.IsDir() || execute:
			need = 1
		}
		known := slices.ContainsFunc(out, func(o guard.File) bool { return o.Path == f.Path })
		if f.Mode&fs.ModeSymlink == 0 && !may(f, uid, gid, need) && !known {
			out = append(out, f)
		}
	}
	return out
}

// belongs reports whether a directory and all that is in it is the ids' own.
func (t *tree) belongs(dir string, uid, gid uint32) bool {
	if !t.isDir(dir) {
		return false
	}
	for p, f := range t.files {
		if isWithin(p, dir) && (f.UID != uid || f.GID != gid) {
			return false
		}
	}
	return true
}

// hasBelow reports whether there is anything in a directory.
func (t *tree) hasBelow(dir string) bool { return t.parents[dir] }
