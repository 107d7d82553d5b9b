package users

import "slices"

// chance is how likely something is.
type chance int

const (
	never chance = iota
	perhaps
	surely
)

func greatest(chances ...chance) chance { return slices.Max(chances) }

// refusesUser reports whether the program that adds a user does not add it: because of the name, the uid or the
// group. That the files which nobody has seen hold the name is not to be thought of: the step would fail.
func (t *tables) refusesUser(c Change) chance {
	by := t.program(c.By)
	if by == ByLine || by == ByPackages {
		return never
	}
	return greatest(chanceOf(t.users, c.Name), t.uidTaken(c), t.groupMissing(c), t.ownGroupTaken(c, by))
}

// chanceOf is how likely an entry of that name is there.
func chanceOf(entries []entry, name string) chance {
	found := never
	for _, e := range entries {
		switch {
		case e.open || e.name != name || name == "":
		case e.maybe:
			found = greatest(found, perhaps)
		default:
			return surely
		}
	}
	return found
}

// taken is how likely somebody who is not of that name has the id; ids that are not known are nobody's.
func taken(entries []entry, id span, name string) chance {
	found := never
	for _, e := range entries {
		switch {
		case e.open || !id.known() || e.id != id || e.name == name:
		case e.maybe:
			found = greatest(found, perhaps)
		default:
			return surely
		}
	}
	return found
}

func (t *tables) uidTaken(c Change) chance {
	if !c.HasUID || c.NonUnique {
		return never
	}
	return taken(t.users, spanOf(c.UID), c.Name)
}

// groupMissing is how likely the primary group that is asked for is not there.
func (t *tables) groupMissing(c Change) chance {
	there := surely
	switch gid := spanOf(c.GID); {
	case slices.ContainsFunc(t.groups, isOpen): // the step would fail
	case c.HasGID && gid.known():
		there = taken(t.groups, gid, "")
		if there == never && !free(t.groups, gid.least) {
			there = perhaps
		}
	case !c.HasGID && c.Group != "":
		there = chanceOf(t.groups, c.Group)
	}
	return surely - there
}

// ownGroupTaken is how likely the group that a user gets is there already, or its gid.
func (t *tables) ownGroupTaken(c Change, by Program) chance {
	if !t.ownGroup(c) || by == ByDebian && c.System {
		return never
	}
	there := chanceOf(t.groups, c.Name)
	if by == ByBusyBox && c.HasUID {
		there = greatest(there, taken(t.groups, spanOf(c.UID), ""))
	}
	return there
}

// refusesGroup reports whether a group is not added or changed: because of the name or the gid.
func (t *tables) refusesGroup(c Change) chance {
	if c.By == ByLine && c.Kind == AddGroup {
		return never
	}
	name := c.Name
	if c.Kind == SetGroup {
		name = c.NewName
	}
	refused := chanceOf(t.groups, name)
	if c.HasGID && !c.NonUnique && !c.IfFree {
		refused = greatest(refused, taken(t.groups, spanOf(c.GID), c.Name))
	}
	return refused
}

// refusesSetUser reports whether a user is not changed: because of the new name, the uid or the group, or because
// the step itself runs as that user.
func (t *tables) refusesSetUser(c Change) chance {
	if e, ok := find(t.users, c.Name); ok && e.id == exactly(0) && (c.HasUID || c.NewName != "") {
		return surely
	}
	return greatest(chanceOf(t.users, c.NewName), t.uidTaken(c), t.groupMissing(c))
}
