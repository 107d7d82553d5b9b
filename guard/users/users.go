// Package users is the user database of an image, while it is being built: etc/passwd and etc/group as a base
// image has them, and what RUN steps add. It resolves USER as docker does (moby/sys/user), and says so where that
// cannot be done.
package users

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/moby/sys/user"

	"github.com/deckhand-engine/deckhand/guard"
)

// DB is what is known of an image's users. It is not safe for use by several goroutines.
type DB struct {
	base   *base // shared between clones
	steps  []step
	copied bool    // a step takes a file that costs a transfer
	now    *tables // base after all steps; nil until it is asked for
	seen   *tables // the same without a transfer; nil until it is asked for
	frozen *DB     // a copy that other databases take files from; nil until one does
}

// Parse is the database of two files' contents; nil is a missing file.
func Parse(passwd, group []byte) *DB {
	return &DB{base: &base{cheap: true, read: func() (*tables, error) { return parse(passwd, group), nil }}}
}

// Lazy is the database of an image whose files are read when they are needed: for a name, and where cheap says
// that reading costs no transfer for a number as well. read is called at most once.
func Lazy(cheap bool, read func() (passwd, group []byte, err error)) *DB {
	return &DB{base: &base{cheap: cheap, read: func() (*tables, error) {
		passwd, group, err := read()
		if err != nil {
			return nil, err
		}
		return parse(passwd, group), nil
	}}}
}

// Unknown is the database of an image of which nothing is known; why fits into [guard.User.Unknown].
func Unknown(why string) *DB {
	return &DB{base: &base{cheap: true, read: func() (*tables, error) { return unknown(why), nil }}}
}

// Clone is a copy that can be changed by itself.
func (d *DB) Clone() *DB {
	return &DB{base: d.base, steps: slices.Clone(d.steps), copied: d.copied, now: d.now}
}

// Apply makes a change, as a RUN step does.
func (d *DB) Apply(c Change) { d.add(step{Change: c}) }

// After resolves a name as [DB.Resolve] would after more changes, which are not made.
func (d *DB) After(name string, changes []Change) guard.User {
	if len(changes) == 0 {
		return d.Resolve(name)
	}
	after := d.Clone()
	for _, c := range changes {
		after.Apply(c)
	}
	return after.Resolve(name)
}

// Resolve works out what USER spec ("", "app", "1000", "app:audio", "0:0") is. Where, Raw, From and Inherited of
// the result are left to the caller.
func (d *DB) Resolve(spec string) guard.User {
	if !d.isCheap() && d.now == nil {
		if u, ok := d.withoutReading(spec); ok {
			return u
		}
	}
	return d.tables().resolve(spec)
}

// withoutReading resolves without the base's files: a number, or a user whom a step added with a fixed uid. The
// answer counts where it is no worse than what the files would give for the rules that ask: the user is known.
func (d *DB) withoutReading(spec string) (guard.User, bool) {
	name, _, _ := strings.Cut(spec, ":")
	if slices.ContainsFunc(d.steps, func(s step) bool { return s.mayBeSecond(name) }) {
		return guard.User{}, false
	}
	u := d.unread().resolve(spec)
	if u.Missing != "" {
		return u, true // not in range, whatever the files hold
	}
	_, numeric, _ := number(u.GroupPart())
	known := u.UID.Known() && (u.GroupPart() == "" || numeric || u.GID.Known())
	return u, known
}

// tables are the base's with all changes made.
func (d *DB) tables() *tables {
	if d.now == nil {
		d.now = d.base.load().clone()
		for _, s := range d.steps {
			d.now.do(s, true)
		}
	}
	return d.now
}

// base is where a database starts.
type base struct {
	cheap bool // reading costs nothing
	read  func() (*tables, error)
	once  sync.Once
	found *tables
}

func (b *base) load() *tables {
	b.once.Do(func() {
		t, err := b.read()
		if err != nil {
			t = unknown(err.Error())
		}
		b.found, b.read = t, nil
	})
	return b.found
}

// tables are the two files.
type tables struct {
	users, groups       []entry
	passwdOpen          bool // the file's last line has no end: what is appended continues it
	groupOpen           bool
	passwdErr, groupErr error  // the file cannot be read to its end; docker then resolves nothing by it
	family              family // of distributions, which decides what ids useradd and its like choose
	custom              bool   // they choose others, and nobody knows which
}

// entry is a line of etc/passwd or etc/group.
type entry struct {
	name string
	id   span // uid of a user, gid of a group
	gid  span // of a user
	why  string
	// open stands for any number of entries that nobody can name; id is the range of theirs.
	open  bool
	maybe bool // it may not be there
}

// span is an id as the files have it, where it may be out of the range that docker accepts.
type span struct{ least, most int64 }

func exactly(n int64) span        { return span{n, n} }
func spanOf(i guard.ID) span      { return span{int64(i.Least), int64(i.Most)} }
func (s span) known() bool        { return s.least == s.most }
func (s span) holds(n int64) bool { return s.least <= n && n <= s.most }

// inRange reports whether docker accepts the id.
func (s span) inRange() bool { return s.least >= 0 && s.most <= guard.MaxID }

// id is the part of the range that docker accepts.
func (s span) id() guard.ID {
	return guard.ID{Least: clamp(s.least), Most: clamp(s.most)}
}

func clamp(n int64) uint32 {
	return uint32(min(max(n, 0), guard.MaxID))
}

// join is the least range that holds both.
func join(a, b span) span { return span{min(a.least, b.least), max(a.most, b.most)} }

func (t *tables) clone() *tables {
	c := *t
	c.users, c.groups = slices.Clone(t.users), slices.Clone(t.groups)
	return &c
}

// unknown is a database that may hold anything.
func unknown(why string) *tables {
	anybody := entry{open: true, id: spanOf(guard.AnyID()), gid: spanOf(guard.AnyID()), why: why}
	return &tables{users: []entry{anybody}, groups: []entry{anybody}}
}

// parse reads the two files as moby/sys/user does.
func parse(passwd, group []byte) *tables {
	t := &tables{passwdOpen: isUnended(passwd), groupOpen: isUnended(group)}
	if passwd != nil {
		lines, err := user.ParsePasswd(bytes.NewReader(passwd))
		t.passwdErr = err
		for _, l := range lines {
			t.users = append(t.users, entry{name: l.Name, id: exactly(int64(l.Uid)), gid: exactly(int64(l.Gid))})
		}
	}
	if group != nil {
		lines, err := user.ParseGroup(bytes.NewReader(group))
		t.groupErr = err
		for _, l := range lines {
			t.groups = append(t.groups, entry{name: l.Name, id: exactly(int64(l.Gid))})
		}
	}
	t.family = familyOf(t.users)
	return t
}

func isUnended(file []byte) bool { return len(file) > 0 && file[len(file)-1] != '\n' }

// missing is docker's sentence for a user or group that is not there.
func missing(what, name string, err error) string {
	return fmt.Sprintf("unable to find %s %s: %v", what, name, err)
}
