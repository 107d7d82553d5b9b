package users

import (
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
)

// apply makes a change.
func (t *tables) apply(c Change) {
	switch c.Kind {
	case AddUser:
		t.addUser(c)
	case AddGroup:
		t.addGroup(c)
	case RemoveUser:
		t.removeUser(c.Name)
	case RemoveGroup:
		t.groups = slices.DeleteFunc(t.groups, func(e entry) bool { return e.name == c.Name && c.Name != "" })
	case SetUser:
		t.setUser(c)
	case SetGroup:
		t.setGroup(c)
	case Replaced:
		t.replace(c)
	case AddMember: // supplementary groups decide nothing here
	}
}

func (t *tables) addUser(c Change) {
	if c.Name == "" {
		t.addAnybody(c)
		return
	}
	if c.By != ByLine && named(t.users, c.Name) {
		return // the program refuses
	}
	e := entry{name: c.Name, why: c.Why, id: t.chooseUID(c)}
	if c.Maybe && slices.ContainsFunc(t.users, isOpen) {
		e.id = span{1, guard.MaxID} // the name may be there already; that it is root's is not to be thought of
	}
	e.gid = t.primaryGroup(c, e.id)
	t.users = append(t.users, e)
}

// addAnybody adds entries that cannot be named.
func (t *tables) addAnybody(c Change) {
	e := entry{open: true, id: spanOf(guard.AnyID()), gid: spanOf(guard.AnyID()), why: c.Why}
	if c.HasUID {
		e.id = spanOf(c.UID)
	}
	t.groups = append(t.groups, entry{open: true, id: e.id, why: c.Why})
	if c.HasGID {
		e.gid = spanOf(c.GID)
	}
	t.users = append(t.users, e)
}

func (t *tables) addGroup(c Change) {
	if c.By != ByLine && c.Name != "" && named(t.groups, c.Name) {
		return
	}
	t.groups = append(t.groups, entry{name: c.Name, open: c.Name == "", id: t.chooseGID(c), why: c.Why})
}

// removeUser removes a user, and the group of the same name that nobody else has: userdel does so.
func (t *tables) removeUser(name string) {
	i := slices.IndexFunc(t.users, func(e entry) bool { return e.name == name })
	if i < 0 || name == "" {
		return
	}
	gid := t.users[i].gid
	t.users = slices.DeleteFunc(t.users, func(e entry) bool { return e.name == name })
	if slices.ContainsFunc(t.users, func(e entry) bool { return !e.open && e.gid == gid }) {
		return
	}
	t.groups = slices.DeleteFunc(t.groups, func(e entry) bool { return e.name == name && e.id == gid })
}

func (t *tables) setUser(c Change) {
	i := slices.IndexFunc(t.users, func(e entry) bool { return e.name == c.Name })
	if i < 0 {
		open, ok := find(t.users, c.Name)
		if !ok || c.Name == "" {
			return // there is none: usermod fails
		}
		open.name, open.open = c.Name, false
		t.users = append(t.users, open)
		i = len(t.users) - 1
	}
	e := &t.users[i]
	if c.HasUID {
		e.id, e.why = spanOf(c.UID), c.Why
	}
	if c.HasGID || c.Group != "" {
		e.gid = t.givenGroup(c)
	}
	if c.NewName != "" {
		e.name = c.NewName
	}
}

// setGroup changes a group, and the primary group of its users with it, as groupmod does.
func (t *tables) setGroup(c Change) {
	i := slices.IndexFunc(t.groups, func(e entry) bool { return e.name == c.Name })
	if i < 0 {
		if !slices.ContainsFunc(t.groups, isOpen) || c.Name == "" {
			return
		}
		t.groups = append(t.groups, entry{name: c.Name, id: spanOf(guard.AnyID()), why: c.Why})
		i = len(t.groups) - 1
	}
	e := &t.groups[i]
	if c.HasGID {
		old := e.id
		e.id = spanOf(c.GID)
		for j := range t.users {
			if old.known() && t.users[j].gid == old {
				t.users[j].gid = e.id
			}
		}
	}
	if c.NewName != "" {
		e.name = c.NewName
	}
}

// replace forgets what a file holds, but for root.
func (t *tables) replace(c Change) {
	all := unknown(c.Why)
	if c.Name != "group" {
		t.users, t.passwdErr = append([]entry{{name: rootName}}, all.users...), nil
	}
	if c.Name != "passwd" {
		t.groups, t.groupErr = append([]entry{{name: rootName}}, all.groups...), nil
	}
}

// mayBeSecond reports whether the change adds a user of whom the base may hold another, which counts then.
func (c Change) mayBeSecond(name string) bool {
	return c.Kind == AddUser && c.Name == name && (c.Maybe || c.By == ByLine)
}

func named(entries []entry, name string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.name == name && !e.open })
}

func isOpen(e entry) bool { return e.open }
