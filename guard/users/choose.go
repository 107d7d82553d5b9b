package users

import (
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
)

// family is a family of distributions, as far as its user files show it.
type family int

const (
	anyFamily family = iota
	debian
	redHat
	alpine
)

// familyOf tells distributions apart by users that only one of them has.
func familyOf(users []entry) family {
	for _, e := range users {
		switch {
		case e.name == "games" && e.id == exactly(5):
			return debian
		case e.name == "ftp" && e.id == exactly(14):
			return redHat
		case e.name == "guest" && e.id == exactly(405):
			return alpine
		}
	}
	return anyFamily
}

// program is whose adduser it is.
func (t *tables) program(by Program) Program {
	if by != ByAdduser {
		return by
	}
	switch t.family {
	case debian:
		return ByDebian
	case redHat: // a link to useradd
		return ByShadow
	case alpine:
		return ByBusyBox
	case anyFamily:
	}
	return by
}

// Ranges that ids are chosen from. Distributions differ in the bounds of the system's; these hold all of them.
func regular() span { return span{1000, 60000} }
func system() span  { return span{100, 999} }

func rangeOf(isSystem bool) span {
	if isSystem {
		return system()
	}
	return regular()
}

// nobodysGroup is where a group nobody named is looked for: Debian's nogroup and Alpine's.
func nobodysGroup() span { return span{65533, 65534} }

// usersGroup is the group of useradd -N.
const usersGroup = 100

// chooseUID is the uid that a new user gets.
func (t *tables) chooseUID(c Change) span {
	by := t.program(c.By)
	switch {
	case c.HasUID, c.UID != (guard.ID{}):
		return spanOf(c.UID)
	case t.custom && by != ByLine && by != ByPackages:
		return span{1, guard.MaxID}
	case by == ByShadow:
		return t.lastAndNext(t.users, c.System)
	case by == ByAdduser:
		return rangeOf(c.System)
	case by == ByBusyBox, by == ByDebian:
		return t.chooseFree(c, by)
	}
	return spanOf(guard.AnyID())
}

// chooseFree is the first uid that is free, as adduser chooses it.
func (t *tables) chooseFree(c Change, by Program) span {
	r := rangeOf(c.System)
	if t.ownGroup(c) && (by != ByDebian || !c.System) {
		return firstFree(r, t.users, t.groups)
	}
	alone := firstFree(r, t.users)
	if t.ownGroup(c) && alone != firstFree(r, t.users, t.groups) {
		return r // Debian's releases differ
	}
	return alone
}

// ownGroup reports whether a new user without a group gets one of the same name.
func (t *tables) ownGroup(c Change) bool {
	if c.HasGID || c.Group != "" || c.Own == NoOwnGroup {
		return false
	}
	return c.Own == OwnGroup || !c.System || t.program(c.By) == ByShadow
}

// primaryGroup is the gid that a new user gets; a group of the same name is added where the program does so.
func (t *tables) primaryGroup(c Change, uid span) span {
	by := t.program(c.By)
	switch {
	case c.HasGID || c.Group != "":
		return t.givenGroup(c)
	case by == ByLine || by == ByPackages:
		return spanOf(guard.AnyID())
	case t.ownGroup(c):
		gid := t.ownGID(c, uid)
		t.addGroup(Change{Name: c.Name, GID: gid.id(), HasGID: true, By: c.By, Why: c.Why, NonUnique: true, Maybe: c.Maybe})
		return gid
	case t.custom:
		return spanOf(guard.AnyID())
	case by == ByShadow:
		return exactly(usersGroup)
	}
	return t.nobodys(c, by)
}

// nobodys is the group of a system user who gets none.
func (t *tables) nobodys(c Change, by Program) span {
	if by == ByAdduser && c.System { // Red Hat's is useradd
		return join(nobodysGroup(), system())
	}
	if e, ok := find(t.groups, "nogroup"); ok && e.id.known() {
		return e.id
	}
	return nobodysGroup()
}

func (t *tables) givenGroup(c Change) span {
	if c.HasGID {
		return spanOf(c.GID)
	}
	if e, ok := find(t.groups, c.Group); ok {
		return e.id
	}
	return spanOf(guard.AnyID())
}

// ownGID is the gid of a group that is made for a user: the same number, where it is free and in the range.
func (t *tables) ownGID(c Change, uid span) span {
	by, r := t.program(c.By), rangeOf(c.System)
	switch {
	case t.custom:
		return spanOf(guard.AnyID())
	case by == ByBusyBox, by == ByDebian && (!c.System || c.HasUID):
		return uid
	case by == ByDebian:
		if gid := firstFree(r, t.groups); gid == uid {
			return gid
		}
		return r
	case !uid.known() || !r.holds(uid.least):
		return join(uid, r) // releases of shadow differ in whether it may lie outside
	case free(t.groups, uid.least):
		return uid
	case by == ByAdduser || taken(t.groups, uid, "") != surely:
		return r
	}
	return t.lastAndNext(t.groups, c.System)
}

// chooseGID is the gid that a new group gets.
func (t *tables) chooseGID(c Change) span {
	wish := spanOf(c.GID)
	switch {
	case c.IfFree && taken(t.groups, wish, "") == surely: // another is chosen
	case c.IfFree && !free(t.groups, wish.least):
		return join(wish, rangeOf(c.System))
	case c.HasGID, c.GID != (guard.ID{}):
		return wish
	}
	switch by := t.program(c.By); {
	case t.custom && by != ByLine && by != ByPackages:
		return span{1, guard.MaxID}
	case by == ByShadow:
		return t.lastAndNext(t.groups, c.System)
	case by == ByBusyBox, by == ByDebian:
		return firstFree(rangeOf(c.System), t.groups)
	case by == ByAdduser:
		return rangeOf(c.System)
	}
	return spanOf(guard.AnyID())
}

// free reports whether no entry can have the id.
func free(entries []entry, id int64) bool {
	return !slices.ContainsFunc(entries, func(e entry) bool { return e.id.holds(id) })
}

// lastAndNext is how shadow chooses: the id after the greatest of the range, of the system's the one before the
// least; from the other end where the range is used up.
func (t *tables) lastAndNext(entries []entry, isSystem bool) span {
	r := rangeOf(isSystem)
	inside, certain := ids(entries, r)
	if !certain || isSystem && t.family == anyFamily {
		return r
	}
	if !isSystem {
		next := int64(1000)
		if len(inside) > 0 {
			next = inside[len(inside)-1] + 1
		}
		if next > r.most {
			return firstFree(r, entries)
		}
		return exactly(next)
	}
	chosen := before(inside, 101)
	if before(inside, 201) != chosen { // Debian's least and Red Hat's
		return r
	}
	return exactly(chosen)
}

// before is the system's id that shadow chooses from those of least and more.
func before(used []int64, least int64) int64 {
	i, _ := slices.BinarySearch(used, least)
	used = used[i:]
	if len(used) == 0 {
		return system().most
	}
	if next := used[0] - 1; next >= least {
		return next
	}
	for id := system().most; id > least; id-- {
		if _, found := slices.BinarySearch(used, id); !found {
			return id
		}
	}
	return least
}

// firstFree is the least id of the range that is in none of the files.
func firstFree(r span, files ...[]entry) span {
	var all []int64
	for _, entries := range files {
		inside, certain := ids(entries, r)
		if !certain {
			return r
		}
		all = append(all, inside...)
	}
	slices.Sort(all)
	next := r.least
	for _, id := range all {
		if id == next {
			next++
		}
	}
	return exactly(min(next, r.most))
}

// ids are those in a range, in ascending order; certain is false where there may be more.
func ids(entries []entry, r span) (inside []int64, certain bool) {
	for _, e := range entries {
		switch {
		case e.id.least > r.most || e.id.most < r.least:
		case !e.id.known() || e.maybe:
			return nil, false
		default:
			inside = append(inside, e.id.least)
		}
	}
	slices.Sort(inside)
	return inside, true
}
