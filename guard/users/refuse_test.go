package users_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

func maybe(c users.Change) users.Change {
	c.Maybe = true
	return c
}

func nonUnique(c users.Change) users.Change {
	c.NonUnique = true
	return c
}

// unended is a line without an end.
func unended(c users.Change) users.Change {
	c.Unended = true
	return c
}

func set() users.Change { return users.Change{Kind: users.SetUser, Name: "app"} }

// TestConditions holds what is known of users whom steps may or may not have made or changed.
func TestConditions(t *testing.T) {
	one := guard.Exactly
	app := func(uid uint32) users.Change { return withUID(add("app", users.ByShadow), uid) }
	tests := map[string]struct {
		db       *users.DB
		changes  []users.Change
		uid, gid guard.ID
	}{
		"either":                    {debianBase(""), []users.Change{maybe(app(1000)), maybe(nonUnique(withGID(app(0), 0)))}, span(0, 1000), span(0, 1000)},
		"either, not root":          {debianBase(""), []users.Change{maybe(app(1000)), maybe(app(1001))}, span(1000, 1001), span(1000, 1001)},
		"perhaps, then certainly":   {debianBase(""), []users.Change{maybe(app(1000)), withGID(withUID(add("app", users.ByLine), 5), 6)}, span(5, 1000), span(6, 1000)},
		"certainly, then perhaps":   {debianBase(""), []users.Change{app(1000), maybe(nonUnique(app(0)))}, one(1000), one(1000)},
		"next to one that may be":   {debianBase(""), []users.Change{maybe(add("a", users.ByShadow)), add("app", users.ByShadow)}, span(1000, 60000), span(1000, 60000)},
		"number of one that may be": {debianBase(""), []users.Change{maybe(withGID(withUID(add("a", users.ByShadow), 1000), 60)), withGID(withUID(add("app", users.ByLine), 1000), 5)}, one(1000), one(5)},
		"set perhaps":               {debianBase(""), []users.Change{app(1000), maybe(nonUnique(withUID(set(), 0)))}, span(0, 1000), one(1000)},
		"group set perhaps":         {debianBase(""), []users.Change{app(1000), maybe(withGroup(set(), "games"))}, one(1000), span(60, 1000)},
		"renamed perhaps":           {debianBase(""), []users.Change{withUID(add("a", users.ByShadow), 1000), maybe(users.Change{Kind: users.SetUser, Name: "a", NewName: "app"})}, one(1000), one(1000)},
		"removed perhaps":           {debianBase(""), []users.Change{app(1000), maybe(users.Change{Kind: users.RemoveUser, Name: "app"}), withGroup(app(1500), "games")}, span(1000, 1500), span(60, 1000)},
		"replaced perhaps":          {debianBase("app:x:1000:1000::/:\n"), []users.Change{maybe(users.Change{Kind: users.Replaced, Name: "passwd", Why: "sed"})}, guard.AnyID(), guard.AnyID()},
		"group's gid set perhaps":   {debianBase(""), []users.Change{app(1000), maybe(withGID(users.Change{Kind: users.SetGroup, Name: "app"}, 7))}, one(1000), span(7, 1000)},

		"uid is another's":            {debianBase("a:x:1000:1000::/:\n"), []users.Change{app(1000), app(1001)}, one(1001), one(1001)},
		"uid is another's, -o":        {debianBase("a:x:1000:1000::/:\n"), []users.Change{nonUnique(app(1000)), app(1001)}, one(1000), one(1000)},
		"group is not there":          {debianBase(""), []users.Change{withGroup(app(1000), "g"), withGroup(app(1001), "games")}, one(1001), one(60)},
		"gid is not there":            {debianBase(""), []users.Change{withGID(app(1000), 1000), withGID(app(1001), 60)}, one(1001), one(60)},
		"own group is there":          {debianBase(""), []users.Change{addGroup("app", users.ByShadow), app(1000), own(app(1001), users.NoOwnGroup)}, one(1001), one(100)},
		"own gid is there, BusyBox":   {alpineBase(), []users.Change{withGID(addGroup("g", users.ByBusyBox), 70), withUID(add("app", users.ByBusyBox), 70), withUID(add("app", users.ByBusyBox), 71)}, one(71), one(71)},
		"Debian's system group there": {debianBase(""), []users.Change{system(addGroup("app", users.ByDebian)), own(system(withUID(add("app", users.ByDebian), 150)), users.OwnGroup)}, one(150), one(150)},
		"usermod, uid is another's":   {debianBase(""), []users.Change{app(1000), withUID(set(), 5)}, one(1000), one(1000)},
		"usermod, group not there":    {debianBase(""), []users.Change{app(1000), withGroup(withUID(set(), 7), "g")}, one(1000), one(1000)},
		"usermod -l, name is there":   {debianBase("a:x:1500:1500::/:\n"), []users.Change{app(1000), {Kind: users.SetUser, Name: "a", NewName: "app"}}, one(1000), one(1000)},
		"usermod of root":             {debianBase(""), []users.Change{nonUnique(app(0)), nonUnique(withUID(set(), 5))}, one(0), span(0, 60000)},
		"groupadd, gid is another's":  {debianBase(""), []users.Change{withGID(addGroup("g", users.ByShadow), 60), withGroup(app(1000), "g"), app(1001)}, one(1001), one(1001)},
		"groupadd -f":                 {debianBase(""), []users.Change{{Kind: users.AddGroup, Name: "g", By: users.ByShadow, HasGID: true, GID: one(60), IfFree: true}, withGroup(app(1500), "g")}, one(1500), one(1000)},
		"groupdel, somebody's":        {debianBase(""), []users.Change{app(1000), {Kind: users.RemoveGroup, Name: "app"}, withGroup(set(), "app")}, one(1000), one(1000)},
		"emptied, then a line":        {debianBase("app:x:3:4::/:\n"), []users.Change{{Kind: users.Emptied, Name: "passwd"}, withGID(withUID(add("app", users.ByLine), 5), 6)}, one(5), one(6)},
		"emptied perhaps":             {debianBase("app:x:3:4::/:\n"), []users.Change{maybe(users.Change{Kind: users.Emptied, Name: "passwd"}), withGID(withUID(add("app", users.ByLine), 5), 6)}, span(3, 5), span(4, 6)},
		"behind a line without end":   {debianBase("a:x:3:4::/:"), []users.Change{withGID(withUID(add("app", users.ByLine), 5), 6), withGID(withUID(add("app", users.ByLine), 7), 8)}, one(7), one(8)},
		"behind an unended line":      {debianBase(""), []users.Change{unended(withUID(add("a", users.ByLine), 3)), withUID(add("app", users.ByLine), 5), app(7)}, one(7), span(7, 60000)},
		"other ranges":                {debianBase(""), []users.Change{{Kind: users.Defaults}, add("app", users.ByShadow)}, span(1, guard.MaxID), guard.AnyID()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, c := range tt.changes {
				tt.db.Apply(c)
			}
			got := tt.db.Resolve("app")
			if diff := cmp.Diff([]guard.ID{tt.uid, tt.gid}, []guard.ID{got.UID, got.GID}); diff != "" || got.Missing != "" {
				t.Errorf("Resolve = %+v (-want +got):\n%s", got, diff)
			}
			if !got.UID.Known() && !got.NotRoot() && got.Unknown == "" {
				t.Error("Resolve does not say why the uid is not known")
			}
		})
	}
}
