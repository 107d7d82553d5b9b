package dockerfiles

import (
	"context"
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// userFiles are the files that hold users.
func userFiles() [2]userFile {
	return [2]userFile{{users.Passwd, "/etc/passwd", "passwd"}, {users.Group, "/etc/group", "group"}}
}

type userFile struct {
	file users.File
	path string
	name string // in users.Change
}

// putUsers does to a user database what a placement does to its files.
func (b *build) putUsers(ctx context.Context, db *users.DB, p *placement) {
	if p.dest != "/" && p.dest != "/etc" && path.Dir(p.dest) != "/etc" && p.dest != "/etc/default/useradd" {
		return
	}
	for _, file := range []string{"/etc/login.defs", "/etc/adduser.conf", "/etc/default/useradd"} {
		if _, found := b.look(ctx, p, file); found != absent {
			db.Apply(users.Change{Kind: users.Defaults})
		}
	}
	for _, f := range userFiles() {
		b.putFile(ctx, db, p, f)
	}
}

// putFile is putUsers for one file.
func (b *build) putFile(ctx context.Context, db *users.DB, p *placement, f userFile) {
	if p.archive && (p.dest == "/" || p.dest == "/etc") {
		addUnseen(db, f, p)
		return
	}
	if b.putFromElsewhere(ctx, db, p, f) {
		return
	}
	content, found := b.look(ctx, p, f.path)
	switch {
	case found == present:
		db.Write(f.file, content)
	case found == opaque:
		db.Apply(unfollowed(f, p))
	case b.mayHold(p, f):
		addUnseen(db, f, p)
	}
}

func unfollowed(f userFile, p *placement) users.Change {
	return users.Change{Kind: users.Replaced, Name: f.name, Why: p.text + " replaces " + f.path + " by what cannot be seen"}
}

// addUnseen leaves open whether the placement brought users or groups; those that are known stay.
func addUnseen(db *users.DB, f userFile, p *placement) {
	c := users.Change{Kind: users.AddUser, Why: p.text + " may replace " + f.path}
	if f.file == users.Group {
		c.Kind, c.HasGID, c.GID = users.AddGroup, true, guard.AnyID()
	}
	db.Apply(c)
}

// putFromElsewhere copies the file of another stage or image, where it is that file which is copied.
func (b *build) putFromElsewhere(ctx context.Context, db *users.DB, p *placement, f userFile) bool {
	if p.kind != sourceStage && p.kind != sourceImage {
		return false
	}
	for _, o := range p.originsOf(f.path) {
		if path.Join("/", o.source) != f.path {
			continue
		}
		from := b.otherUsers(ctx, p)
		if from == nil {
			db.Apply(unfollowed(f, p))
		} else {
			db.Copy(f.file, from)
		}
		return true
	}
	return false
}

// otherUsers is the user database of the stage or image that a placement copies from; nil: it is not known.
func (b *build) otherUsers(ctx context.Context, p *placement) *users.DB {
	if p.kind == sourceStage {
		other, err := b.follow(ctx, p.stage)
		if err != nil {
			return nil
		}
		return b.users(ctx, other)
	}
	db, found := b.images[p.image]
	if !found {
		if image, err := b.image(ctx, p.image); err == nil {
			db = images.Users(ctx, image)
		}
		b.images[p.image] = db
	}
	return db
}

// mayHold reports whether a placement that was looked into in vain may hold the file after all: a directory that
// cannot be seen, or that RUN filled.
func (b *build) mayHold(p *placement, f userFile) bool {
	if len(p.originsOf(f.path)) == 0 || p.kind == sourceHeredoc || p.kind == sourceURL {
		return false
	}
	if p.kind == sourceContext && b.files.kindOf(p.source) != nothing {
		return false
	}
	if hasWildcard(p.source) && p.kind == sourceContext {
		return false // a file by that name would have been found
	}
	return !looksLikeFile(p.source)
}

// looksLikeFile reports whether a name is rather a file's than a directory's.
func looksLikeFile(source string) bool {
	dir, base := path.Base(path.Dir("/"+source)), path.Base(source)
	switch {
	case dir == "bin", dir == "sbin", isUserFile(source):
		return true
	case base == ".", strings.HasSuffix(base, ".d"):
		return false
	}
	return path.Ext(base) != ""
}

// isUserFile reports whether a name is one that directories do not have.
func isUserFile(source string) bool {
	base := path.Base(source)
	return base == "passwd" || base == "group" || base == "shadow"
}
