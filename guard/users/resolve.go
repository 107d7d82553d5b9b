package users

import (
	"errors"
	"strconv"

	"github.com/moby/sys/user"

	"github.com/deckhand-engine/deckhand/guard"
)

// rootName is uid 0's name by convention, in every image whose files nobody has seen.
const rootName = "root"

// number reads a uid or gid as docker does: with signs and leading zeros.
func number(s string) (n int64, numeric bool, err error) {
	i, err := strconv.Atoi(s)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, false, nil
	}
	if err != nil || i < 0 || i > guard.MaxID {
		return 0, true, user.ErrRange
	}
	return int64(i), true, nil
}

// resolve follows moby/sys/user.GetExecUser, step by step.
func (t *tables) resolve(spec string) guard.User {
	u := guard.User{Spec: spec}
	name, group := u.UserPart(), u.GroupPart()
	uid, uidNumeric, err := number(name)
	if err != nil {
		u.Missing = err.Error()
		return u
	}
	if _, _, err := number(group); err != nil {
		u.Missing = err.Error()
		return u
	}
	if t.passwdErr != nil {
		u.Missing = missing("user", orZero(name), t.passwdErr)
		return u
	}
	var e entry
	if name == "" || uidNumeric {
		e = t.byNumber(&u, uid)
	} else {
		e = t.byName(&u, name)
	}
	if u.Missing == "" && group != "" {
		e.gid = t.group(&u, group)
	}
	t.finish(&u, e)
	return u
}

// finish puts the ids in, and refuses what docker does not accept.
func (t *tables) finish(u *guard.User, e entry) {
	switch {
	case u.Missing != "":
	case u.GroupPart() == "" && u.Name != "" && t.groupErr != nil:
		u.Missing = groupsUnread(u.Name, t.groupErr)
	case e.id.known() && !e.id.inRange(), e.gid.known() && !e.gid.inRange():
		u.Missing = user.ErrRange.Error()
	}
	if u.Missing != "" {
		return
	}
	u.UID, u.GID = e.id.id(), e.gid.id()
	if !u.UID.Known() && !u.UID.NotRoot() {
		u.Unknown = e.why
	}
}

func groupsUnread(name string, err error) string {
	return "unable to find groups for spec " + name + ": " + err.Error()
}

func orZero(name string) string {
	if name == "" {
		return "0"
	}
	return name
}

// byNumber finds what the passwd file adds to a uid.
func (t *tables) byNumber(u *guard.User, uid int64) entry {
	found := entry{id: exactly(uid)}
	possible := false
	for _, e := range t.users {
		switch {
		case !e.id.holds(uid):
		case e.id.known() && !e.open && !e.maybe:
			if possible {
				e.gid = join(found.gid, e.gid)
			}
			u.Name = e.name
			return e
		case possible:
			found.gid = join(found.gid, e.gid)
		default:
			found.gid, possible = e.gid, true
		}
	}
	u.NoEntry = !possible
	found.gid = join(found.gid, span{}) // there may be no entry
	if uid == 0 {
		found.gid = span{} // root's group, by convention
	}
	return found
}

// byName finds a user.
func (t *tables) byName(u *guard.User, name string) entry {
	e, ok := find(t.users, name)
	if !ok {
		u.Missing = missing("user", name, user.ErrNoPasswdEntries)
		return e
	}
	u.Name = name
	if e.id.known() {
		var numeric guard.User
		if t.byNumber(&numeric, e.id.least); numeric.Name != name {
			u.Alias = numeric.Name
		}
	}
	return e
}

// group finds USER's group.
func (t *tables) group(u *guard.User, name string) span {
	u.GroupSet = true
	if t.groupErr != nil {
		u.Missing = groupsUnread(u.Name, t.groupErr)
		return span{}
	}
	if gid, numeric, _ := number(name); numeric {
		return exactly(gid)
	}
	e, ok := find(t.groups, name)
	if !ok {
		u.Missing = missing("group", name, user.ErrNoGroupEntries)
	}
	return e.id
}

// find is the first entry of that name; where none is certain to be there, what those that may be, and entries
// without a name, leave open.
func find(entries []entry, name string) (entry, bool) {
	var found []entry
	for _, e := range entries {
		if e.open || e.name != name {
			continue
		}
		found = append(found, e)
		if !e.maybe {
			certain := oneOf(found)
			certain.maybe = false
			return certain, true
		}
	}
	open, isOpen := unnamed(entries, name)
	switch {
	case len(found) == 0:
		return open, isOpen
	case isOpen:
		// That a name which is added is root's already is not to be thought of.
		found = append(found, entry{name: name, id: span{1, guard.MaxID}, gid: open.gid, why: open.why})
	}
	return oneOf(found), true
}

// unnamed is what entries without a name leave open for a name.
func unnamed(entries []entry, name string) (entry, bool) {
	var open []entry
	for _, e := range entries {
		if e.open {
			open = append(open, e)
		}
	}
	if len(open) == 0 {
		return entry{}, false
	}
	if name == rootName {
		return entry{name: rootName}, true
	}
	return oneOf(open), true
}

// oneOf is what is known of an entry that is one of several.
func oneOf(entries []entry) entry {
	found := entries[0]
	for _, e := range entries[1:] {
		if e.id.least < found.id.least || found.why == "" {
			found.why = e.why
		}
		found.id, found.gid = join(found.id, e.id), join(found.gid, e.gid)
	}
	if len(entries) > 1 && found.why == "" {
		found.why = "steps add it under conditions that are not known"
	}
	return found
}
