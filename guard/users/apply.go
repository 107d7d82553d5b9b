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
		t.removeUser(c)
	case RemoveGroup:
		t.removeGroup(c)
	case SetUser:
		t.setUser(c)
	case SetGroup:
		t.setGroup(c)
	case Replaced:
		t.replace(c)
	case Emptied:
		t.empty(c)
	case Defaults:
		t.custom = true
	case AddMember: // supplementary groups decide nothing here
	}
}

func (t *tables) addUser(c Change) {
	if c.Name == "" {
		t.addAnybody(c)
		return
	}
	refused := t.refusesUser(c)
	if refused == surely || continues(&t.passwdOpen, c) {
		return
	}
	c.Maybe = c.Maybe || refused == perhaps
	e := entry{name: c.Name, why: c.Why, id: t.chooseUID(c), maybe: c.Maybe}
	if c.Maybe && slices.ContainsFunc(t.users, isOpen) {
		e.id = join(e.id, span{1, guard.MaxID}) // the name may be there already
	}
	e.gid = t.primaryGroup(c, e.id)
	t.users = append(t.users, e)
}

// continues reports whether what is appended to a file stands behind its last line and makes no entry. Programs
// write whole lines.
func continues(unended *bool, c Change) bool {
	before := *unended
	*unended = c.By == ByLine && c.Unended
	return before && c.By == ByLine && !c.Maybe
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
	refused := t.refusesGroup(c)
	if refused == surely || continues(&t.groupOpen, c) {
		return
	}
	t.groups = append(t.groups, entry{
		name: c.Name, open: c.Name == "", id: t.chooseGID(c), why: c.Why, maybe: c.Maybe || refused == perhaps,
	})
}

// removeUser removes a user, and the group of the same name that nobody else has: userdel does so.
func (t *tables) removeUser(c Change) {
	i := slices.IndexFunc(t.users, func(e entry) bool { return e.name == c.Name && !e.open })
	if i < 0 {
		return
	}
	gid := t.users[i].gid
	t.users = without(t.users, c.Maybe, func(e entry) bool { return e.name == c.Name })
	if slices.ContainsFunc(t.users, func(e entry) bool { return !e.open && !e.maybe && e.gid == gid }) {
		return
	}
	others := slices.ContainsFunc(t.users, func(e entry) bool { return !e.open && e.gid.holds(gid.least) })
	t.groups = without(t.groups, c.Maybe || others, func(e entry) bool { return e.name == c.Name && e.id == gid })
}

// removeGroup removes a group that is nobody's primary one: the others are not removed.
func (t *tables) removeGroup(c Change) {
	t.groups = without(t.groups, c.Maybe, func(e entry) bool {
		return e.name == c.Name && !slices.ContainsFunc(t.users, func(u entry) bool { return !u.open && !u.maybe && u.gid == e.id })
	})
}

// without removes entries, or leaves open whether they are there.
func without(entries []entry, maybe bool, remove func(entry) bool) []entry {
	if !maybe {
		return slices.DeleteFunc(entries, func(e entry) bool { return !e.open && remove(e) })
	}
	for i, e := range entries {
		entries[i].maybe = e.maybe || !e.open && remove(e)
	}
	return entries
}

func (t *tables) setUser(c Change) {
	refused := t.refusesSetUser(c)
	if refused == surely || c.Name == "" {
		return
	}
	c.Maybe = c.Maybe || refused == perhaps
	if !named(t.users, c.Name) {
		open, ok := unnamed(t.users, c.Name)
		if !ok {
			return // there is none: usermod fails
		}
		open.name, open.open = c.Name, false
		t.users = append(t.users, open)
	}
	gid := t.givenGroup(c)
	t.users = change(t.users, c, func(e *entry) {
		if c.HasUID {
			e.id, e.why = spanOf(c.UID), c.Why
		}
		if c.HasGID || c.Group != "" {
			e.gid = gid
		}
	})
}

// change makes a change of the first entry of a name, and of those before it that may not be there.
func change(entries []entry, c Change, set func(*entry)) []entry {
	for i := range entries {
		e := &entries[i]
		if e.open || e.name != c.Name {
			continue
		}
		changed := *e
		set(&changed)
		certain := !e.maybe
		switch {
		case !c.Maybe:
			if c.NewName != "" {
				changed.name = c.NewName
			}
			*e = changed
		case c.NewName != "":
			e.maybe, changed.maybe, changed.name = true, true, c.NewName
			entries = append(entries, changed)
		default:
			maybe := e.maybe
			*e = oneOf([]entry{*e, changed})
			e.maybe = maybe
		}
		if certain {
			break
		}
	}
	return entries
}

// setGroup changes a group, and the primary group of its users with it, as groupmod does.
func (t *tables) setGroup(c Change) {
	refused := t.refusesGroup(c)
	if refused == surely || c.Name == "" {
		return
	}
	c.Maybe = c.Maybe || refused == perhaps
	if !named(t.groups, c.Name) {
		if !slices.ContainsFunc(t.groups, isOpen) {
			return
		}
		t.groups = append(t.groups, entry{name: c.Name, id: spanOf(guard.AnyID()), why: c.Why})
	}
	t.groups = change(t.groups, c, func(e *entry) {
		if c.HasGID {
			t.move(e, spanOf(c.GID), c.Maybe)
			e.id = spanOf(c.GID)
		}
	})
}

// move gives the users of a group its new gid.
func (t *tables) move(group *entry, gid span, maybe bool) {
	for i := range t.users {
		e := &t.users[i]
		switch {
		case !group.id.known() || e.gid != group.id:
		case maybe || group.maybe:
			e.gid = join(e.gid, gid)
		default:
			e.gid = gid
		}
	}
}

// empty takes everything out of a file.
func (t *tables) empty(c Change) {
	all := func(entry) bool { return true }
	if c.Name == "passwd" {
		t.users, t.passwdOpen = without(t.users, c.Maybe, all), false
		if !c.Maybe {
			t.users, t.passwdErr = nil, nil
		}
		return
	}
	t.groups, t.groupOpen = without(t.groups, c.Maybe, all), false
	if !c.Maybe {
		t.groups, t.groupErr = nil, nil
	}
}

// replace forgets what a file holds, but for root.
func (t *tables) replace(c Change) {
	all := unknown(c.Why)
	if c.Name != "group" {
		t.users, t.passwdErr = forget(t.users, all.users[0], c.Maybe), nil
	}
	if c.Name != "passwd" {
		t.groups, t.groupErr = forget(t.groups, all.groups[0], c.Maybe), nil
	}
}

func forget(entries []entry, anybody entry, maybe bool) []entry {
	if !maybe {
		return []entry{{name: rootName}, anybody}
	}
	for i := range entries {
		if e := &entries[i]; !e.open && e.name != rootName {
			e.id, e.gid, e.why, e.maybe = anybody.id, anybody.gid, anybody.why, true
		}
	}
	return append(entries, anybody)
}

// mayBeSecond reports whether the change adds a user of whom the base may hold another, which counts then.
func (c Change) mayBeSecond(name string) bool {
	return c.Kind == AddUser && c.Name == name && (c.Maybe || c.By == ByLine)
}

func named(entries []entry, name string) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return e.name == name && !e.open })
}

func isOpen(e entry) bool { return e.open }
