package dockerfiles

import (
	"context"
	"errors"
	"slices"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// errNotLookedUp is why nothing is known of an image when there is nobody to ask.
var errNotLookedUp = errors.New("images are not looked up")

// setUser is USER.
func (b *build) setUser(s *stage, from *site, in *dockerfile.Instruction) error {
	word := in.Args[0]
	e, err := s.scope.Expand(word)
	if err != nil {
		return err
	}
	s.user = setting{
		set: true, spec: e.Value, where: b.place(from, from.file.ArgRange(in, 0)), stage: s.def.Index, from: from.from,
	}
	if word != e.Value {
		s.user.raw = word
	}
	if from.at == nil {
		s.user.by = in
	}
	if why := b.gap(s, e); why != "" {
		s.user.why, s.user.spec, s.user.raw = why, word, word
	}
	return nil
}

// gap says why a variable that has no value here may have one when the image is built; empty: none may.
func (b *build) gap(s *stage, e dockerfile.Expansion) string {
	for _, name := range e.Empty {
		switch {
		case s.scope.Declared(name), slices.Contains(e.Through, name) && b.global.Declared(name):
			return "build argument " + name + " has no value"
		case s.base.why != "" && !isParameter(name):
			return s.base.why + ", and may set " + name
		}
	}
	return ""
}

// isParameter reports whether the name is one of a shell's own parameters, such as 1 and @, which nothing sets.
func isParameter(name string) bool {
	c := name[0]
	return c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c < 0x80
}

// user is the user that the image starts as.
func (b *build) user(ctx context.Context, s *stage) guard.User {
	set := s.user
	root := s.chain()[0]
	switch {
	case set.why != "":
		return guard.User{
			Spec: set.spec, Raw: set.raw, Where: set.where, From: set.from, Inherited: set.from != "",
			UID: guard.AnyID(), GID: guard.AnyID(), Unknown: set.why,
		}
	case !set.set && s.base.why != "":
		return guard.User{
			Where: b.at(root.def.From.Range), From: s.base.title(), Inherited: true,
			UID: guard.AnyID(), GID: guard.AnyID(), Unknown: s.base.why,
		}
	}
	u := b.users(ctx, s).Resolve(set.spec)
	u.Raw, u.Where, u.From, u.Inherited = set.raw, set.where, set.from, set.from != ""
	if !set.set {
		u.Where = b.at(root.def.From.Range)
	}
	return u
}

// users is the user database of a stage at its end. It is not to be changed.
func (b *build) users(ctx context.Context, s *stage) *users.DB {
	if s.db != nil {
		return s.db
	}
	s.db = s.base.users(ctx)
	ordinary := map[setting]bool{}
	for _, part := range s.chain() {
		for _, e := range part.events {
			if len(e.changes) > 0 && e.as.set && e.as.why == "" {
				if _, known := ordinary[e.as]; !known {
					ordinary[e.as] = s.db.Resolve(e.as.spec).NotRoot()
				}
			}
			for _, c := range e.changes {
				applyAs(s.db, c, ordinary[e.as])
			}
			if e.put != nil {
				b.putUsers(ctx, s.db, e.put)
			}
		}
	}
	return s.db
}

// applyAs makes a change of a step that runs as root or as somebody else, whom programs refuse to add users. What
// writes the files itself may be allowed to.
func applyAs(db *users.DB, c users.Change, ordinary bool) {
	switch {
	case !ordinary || c.Elevated || c.Kind == users.AddUser && c.Name == "":
	case c.Kind == users.Replaced:
		c.Maybe = true
	case c.By == users.ByLine && (c.Kind == users.AddUser || c.Kind == users.AddGroup):
		c = users.Change{Kind: c.Kind, Why: "a step that does not run as root writes to the file of users, which it may not be allowed to"}
	default:
		return
	}
	db.Apply(c)
}
