package users_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// The bases of the tests.
func debianBase(more string) *users.DB {
	return users.Parse([]byte("root:x:0:0::/root:/bin/bash\ngames:x:5:60::/usr/games:/sbin/nologin\n_apt:x:42:65534::/nonexistent:\n"+
		"nobody:x:65534:65534::/:\n"+more), []byte("root:x:0:\ngames:x:60:\nusers:x:100:\nnogroup:x:65534:\n"))
}

func alpineBase() *users.DB {
	return users.Parse([]byte("root:x:0:0::/root:/bin/sh\nguest:x:405:100::/:\nnobody:x:65534:65534::/:\n"),
		[]byte("root:x:0:\nping:x:999:\nusers:x:100:\nnogroup:x:65533:\nnobody:x:65534:\n"))
}

func redHatBase() *users.DB {
	return users.Parse([]byte("root:x:0:0::/root:/bin/sh\nftp:x:14:50::/:\n"), []byte("root:x:0:\nusers:x:100:\n"))
}

func plainBase(passwd, group string) *users.DB {
	return users.Parse([]byte("root:x:0:0::/root:/bin/sh\n"+passwd), []byte("root:x:0:\n"+group))
}

func unknownBase() *users.DB { return users.Unknown("base image b is not known") }

func add(name string, by users.Program) users.Change { return users.Change{Name: name, By: by} }

func system(c users.Change) users.Change {
	c.System = true
	return c
}

func withUID(c users.Change, uid uint32) users.Change {
	c.UID, c.HasUID = guard.Exactly(uid), true
	return c
}

func withGID(c users.Change, gid uint32) users.Change {
	c.GID, c.HasGID = guard.Exactly(gid), true
	return c
}

func withGroup(c users.Change, group string) users.Change {
	c.Group = group
	return c
}

func own(c users.Change, o users.Own) users.Change {
	c.Own = o
	return c
}

func addGroup(name string, by users.Program) users.Change {
	return users.Change{Kind: users.AddGroup, Name: name, By: by}
}

// TestChosen holds the ids that the programs really choose.
func TestChosen(t *testing.T) {
	one := guard.Exactly
	regular, systems := span(1000, 60000), span(100, 999)
	tests := map[string]struct {
		db       *users.DB
		changes  []users.Change
		uid, gid guard.ID
	}{
		"useradd":                     {debianBase(""), []users.Change{add("app", users.ByShadow)}, one(1000), one(1000)},
		"useradd after another":       {debianBase("a:x:1005:1005::/:\n"), []users.Change{add("app", users.ByShadow)}, one(1006), one(1006)},
		"useradd, group taken":        {plainBase("a:x:1005:1::/:\n", "b:x:1006:\n"), []users.Change{add("app", users.ByShadow)}, one(1006), one(1007)},
		"useradd at the end":          {plainBase("a:x:60000:1::/:\n", "b:x:59999:\n"), []users.Change{add("app", users.ByShadow)}, one(1000), one(1000)},
		"useradd -u":                  {debianBase(""), []users.Change{withUID(add("app", users.ByShadow), 1234)}, one(1234), one(1234)},
		"useradd -u, group taken":     {plainBase("", "a:x:1000:\n"), []users.Change{withUID(add("app", users.ByShadow), 1000)}, one(1000), one(1001)},
		"useradd -u of the system's":  {debianBase(""), []users.Change{withUID(add("app", users.ByShadow), 500)}, one(500), span(500, 60000)},
		"useradd -N":                  {debianBase(""), []users.Change{own(add("app", users.ByShadow), users.NoOwnGroup)}, one(1000), one(100)},
		"useradd -g games":            {debianBase(""), []users.Change{withGroup(add("app", users.ByShadow), "games")}, one(1000), one(60)},
		"useradd -g 0":                {debianBase(""), []users.Change{withGID(add("app", users.ByShadow), 0)}, one(1000), one(0)},
		"useradd -r":                  {debianBase(""), []users.Change{system(add("app", users.ByShadow))}, one(999), one(999)},
		"useradd -r, 998 there":       {debianBase("a:x:998:998::/:\n"), []users.Change{system(add("app", users.ByShadow))}, one(997), one(997)},
		"useradd -r, 101 there":       {debianBase("a:x:101:1::/:\n"), []users.Change{system(add("app", users.ByShadow))}, one(999), one(999)},
		"useradd -r, 150 there":       {debianBase("a:x:150:1::/:\n"), []users.Change{system(add("app", users.ByShadow))}, systems, systems},
		"useradd -r, group 998 there": {redHatBase(), []users.Change{withGID(addGroup("a", users.ByShadow), 998), system(add("app", users.ByShadow))}, one(999), one(999)},
		"useradd -r, group 999 there": {redHatBase(), []users.Change{withGID(addGroup("a", users.ByShadow), 999), system(add("app", users.ByShadow))}, one(999), one(998)},
		"useradd -r, whose":           {plainBase("", ""), []users.Change{system(add("app", users.ByShadow))}, systems, systems},
		"useradd -r twice":            {debianBase(""), []users.Change{system(add("a", users.ByShadow)), system(add("app", users.ByShadow))}, one(998), one(998)},
		"groupadd, useradd -g":        {debianBase(""), []users.Change{system(addGroup("g", users.ByShadow)), withGroup(system(add("app", users.ByShadow)), "g")}, one(999), one(999)},
		"useradd, base unknown":       {unknownBase(), []users.Change{add("app", users.ByShadow)}, regular, regular},
		"useradd -r, base unknown":    {unknownBase(), []users.Change{system(add("app", users.ByShadow))}, systems, systems},
		"useradd -u, base unknown":    {unknownBase(), []users.Change{withUID(add("app", users.ByShadow), 1000)}, one(1000), regular},
		"twice":                       {debianBase(""), []users.Change{withUID(add("app", users.ByShadow), 7), withUID(add("app", users.ByShadow), 8)}, one(7), span(7, 60000)},

		"BusyBox":               {alpineBase(), []users.Change{add("app", users.ByBusyBox)}, one(1000), one(1000)},
		"BusyBox, twice":        {alpineBase(), []users.Change{add("a", users.ByBusyBox), add("app", users.ByBusyBox)}, one(1001), one(1001)},
		"BusyBox, group taken":  {alpineBase(), []users.Change{withGID(addGroup("g", users.ByBusyBox), 1000), add("app", users.ByBusyBox)}, one(1001), one(1001)},
		"BusyBox -S":            {alpineBase(), []users.Change{system(add("app", users.ByBusyBox))}, one(100), one(65533)},
		"BusyBox -S -G":         {alpineBase(), []users.Change{system(addGroup("g", users.ByBusyBox)), withGroup(system(add("app", users.ByBusyBox)), "g")}, one(100), one(101)},
		"BusyBox -u":            {alpineBase(), []users.Change{withUID(add("app", users.ByBusyBox), 70)}, one(70), one(70)},
		"BusyBox, base unknown": {unknownBase(), []users.Change{system(add("app", users.ByBusyBox))}, systems, span(65533, 65534)},
		"adduser on Alpine":     {alpineBase(), []users.Change{system(add("app", users.ByAdduser))}, one(100), one(65533)},
		"adduser on Debian":     {debianBase(""), []users.Change{system(add("app", users.ByAdduser))}, one(100), one(65534)},
		"adduser on Red Hat":    {redHatBase(), []users.Change{system(add("app", users.ByAdduser))}, one(999), one(999)},
		"adduser, base unknown": {unknownBase(), []users.Change{add("app", users.ByAdduser)}, regular, regular},
		"Debian":                {debianBase("a:x:1001:1::/:\n"), []users.Change{add("app", users.ByDebian)}, one(1000), one(1000)},
		"Debian --system":       {debianBase("a:x:100:1::/:\n"), []users.Change{system(add("app", users.ByDebian))}, one(101), one(65534)},
		"Debian --system --group, releases differ": {
			debianBase(""),
			[]users.Change{own(system(add("app", users.ByDebian)), users.OwnGroup)},
			systems, systems,
		},
		"Debian --system --group": {
			debianBase("a:x:100:1::/:\n"),
			[]users.Change{own(system(add("app", users.ByDebian)), users.OwnGroup)},
			one(101), one(101),
		},
		"Debian --uid": {debianBase(""), []users.Change{withUID(add("app", users.ByDebian), 70)}, one(70), one(70)},

		"after a package": {
			debianBase(""),
			[]users.Change{{By: users.ByPackages, UID: span(1, 999), HasUID: true}, add("app", users.ByShadow)},
			one(1000), one(1000),
		},
		"system's after a package": {
			debianBase(""),
			[]users.Change{{By: users.ByPackages, UID: span(1, 999), HasUID: true}, system(add("app", users.ByShadow))},
			systems, systems,
		},
		"after a script": {debianBase(""), []users.Change{{Why: "x"}, add("app", users.ByShadow)}, regular, regular},
		"a package's": {
			debianBase(""),
			[]users.Change{{By: users.ByPackages, UID: span(1, 999), HasUID: true}},
			span(1, 999), guard.AnyID(),
		},
		"usermod -u":               {debianBase("app:x:1000:1000::/:\n"), []users.Change{withUID(users.Change{Kind: users.SetUser, Name: "app"}, 7)}, one(7), one(1000)},
		"usermod -g":               {debianBase("app:x:1000:1000::/:\n"), []users.Change{withGroup(users.Change{Kind: users.SetUser, Name: "app"}, "games")}, one(1000), one(60)},
		"usermod -l":               {debianBase("a:x:1000:1000::/:\n"), []users.Change{{Kind: users.SetUser, Name: "a", NewName: "app"}}, one(1000), one(1000)},
		"usermod -u, base unknown": {unknownBase(), []users.Change{withUID(users.Change{Kind: users.SetUser, Name: "app"}, 5)}, one(5), guard.AnyID()},
		"groupmod -g": {
			debianBase(""),
			[]users.Change{add("app", users.ByShadow), withGID(users.Change{Kind: users.SetGroup, Name: "app"}, 7)},
			one(1000), one(7),
		},
		"userdel": {
			debianBase("a:x:1000:1000::/:\n"),
			[]users.Change{{Kind: users.RemoveUser, Name: "a"}, add("app", users.ByShadow)},
			one(1000), one(1000),
		},
		"line":  {plainBase("", ""), []users.Change{withGID(withUID(add("app", users.ByLine), 5), 6)}, one(5), one(6)},
		"lines": {plainBase("app:x:3:4::/:\n", ""), []users.Change{withGID(withUID(add("app", users.ByLine), 5), 6)}, one(3), one(4)},
		"replaced, then a line": {
			debianBase("app:x:3:4::/:\n"),
			[]users.Change{{Kind: users.Replaced}, withGID(withUID(add("app", users.ByLine), 5), 6)},
			one(5), one(6),
		},
		"group file replaced": {debianBase("app:x:3:4::/:\n"), []users.Change{{Kind: users.Replaced, Name: "group"}}, one(3), one(4)},
		"maybe, base unknown": {
			unknownBase(),
			[]users.Change{{Name: "app", By: users.ByShadow, Maybe: true, HasUID: true, UID: one(1000)}},
			span(1, guard.MaxID), guard.AnyID(),
		},
		"maybe": {debianBase(""), []users.Change{{Name: "app", By: users.ByShadow, Maybe: true}}, one(1000), one(1000)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, c := range tt.changes {
				tt.db.Apply(c)
			}
			got := tt.db.Resolve("app")
			got.Alias = "" // TestResolve's
			want := guard.User{Spec: "app", Name: "app", UID: tt.uid, GID: tt.gid}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Resolve (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknown(t *testing.T) {
	const why = "base image b is not known"
	tests := map[string]struct {
		changes []users.Change
		spec    string
		want    guard.User
	}{
		"nobody set":       {nil, "", guard.User{}},
		"root":             {nil, "root", guard.User{Name: "root"}},
		"zero":             {nil, "0", guard.User{}},
		"number":           {nil, "1000", guard.User{UID: guard.Exactly(1000), GID: guard.AnyID()}},
		"number and group": {nil, "1000:5", guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(5), GroupSet: true}},
		"group by name":    {nil, "1000:g", guard.User{UID: guard.Exactly(1000), GID: guard.AnyID(), GroupSet: true}},
		"root's group":     {nil, "1000:root", guard.User{UID: guard.Exactly(1000), GroupSet: true}},
		"name":             {nil, "app", guard.User{Name: "app", UID: guard.AnyID(), GID: guard.AnyID(), Unknown: why}},
		"range":            {nil, "-5", guard.User{Missing: "uids and gids must be in range 0-2147483647"}},
		"after a change": {
			[]users.Change{{Kind: users.Replaced, Why: "sed changes it"}},
			"app",
			guard.User{Name: "app", UID: guard.AnyID(), GID: guard.AnyID(), Unknown: "sed changes it"},
		},
		"uid of a variable": {
			[]users.Change{{Name: "app", By: users.ByShadow, HasUID: true, UID: guard.AnyID(), Why: "$UID is not known"}},
			"app:5",
			guard.User{Name: "app", UID: guard.AnyID(), GID: guard.Exactly(5), GroupSet: true, Unknown: "$UID is not known"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			db := users.Unknown(why)
			for _, c := range tt.changes {
				db.Apply(c)
			}
			tt.want.Spec = tt.spec
			if diff := cmp.Diff(tt.want, db.Resolve(tt.spec)); diff != "" {
				t.Errorf("Resolve (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLazy(t *testing.T) {
	tests := map[string]struct {
		cheap   bool
		changes []users.Change
		spec    string
		reads   int
		want    guard.User
	}{
		"number":        {false, nil, "1000", 0, guard.User{UID: guard.Exactly(1000), GID: guard.AnyID()}},
		"nobody set":    {false, nil, "", 0, guard.User{}},
		"cheap number":  {true, nil, "1000", 1, guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(7), Name: "app"}},
		"name":          {false, nil, "app", 1, guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(7), Name: "app"}},
		"root":          {false, nil, "root", 0, guard.User{Name: "root"}},
		"name of group": {false, nil, "1000:audio", 1, guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(29), Name: "app", GroupSet: true}},
		"added": {
			false,
			[]users.Change{withUID(add("new", users.ByShadow), 2000)},
			"new", 0,
			guard.User{UID: guard.Exactly(2000), GID: span(1000, 60000), Name: "new"},
		},
		"added, uid chosen": {
			false,
			[]users.Change{add("new", users.ByShadow)},
			"new", 1,
			guard.User{UID: guard.Exactly(1001), GID: guard.Exactly(1001), Name: "new"},
		},
		"added by a line": {
			false,
			[]users.Change{withGID(withUID(add("app", users.ByLine), 0), 0)},
			"app", 1,
			guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(7), Name: "app"},
		},
		"added perhaps": {
			false,
			[]users.Change{{Name: "app", By: users.ByShadow, Maybe: true, HasUID: true, UID: guard.Exactly(3)}},
			"app", 1,
			guard.User{UID: guard.Exactly(1000), GID: guard.Exactly(7), Name: "app"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			reads := 0
			db := users.Lazy(tt.cheap, func() ([]byte, []byte, error) {
				reads++
				return []byte("root:x:0:0::/:\napp:x:1000:7::/:\n"), []byte("audio:x:29:\n"), nil
			})
			for _, c := range tt.changes {
				db.Apply(c)
			}
			tt.want.Spec = tt.spec
			for _, d := range []*users.DB{db, db.Clone(), db} {
				if diff := cmp.Diff(tt.want, d.Resolve(tt.spec)); diff != "" {
					t.Errorf("Resolve (-want +got):\n%s", diff)
				}
			}
			if reads != tt.reads {
				t.Errorf("read %d times, want %d", reads, tt.reads)
			}
		})
	}
}

func TestLazyError(t *testing.T) {
	db := users.Lazy(false, func() ([]byte, []byte, error) { return nil, nil, errors.New("a layer cannot be read") })
	if got := db.Resolve("app"); got.Unknown != "a layer cannot be read" || got.NotRoot() || got.Root() {
		t.Errorf("Resolve = %+v", got)
	}
}

func TestClone(t *testing.T) {
	db := debianBase("")
	other := db.Clone()
	db.Apply(add("one", users.ByShadow))
	other.Apply(add("two", users.ByShadow))
	if u := db.Resolve("two"); u.Missing == "" {
		t.Errorf("the clone's user is in the original: %+v", u)
	}
	if u := other.Resolve("two"); u.UID != guard.Exactly(1000) {
		t.Errorf("Resolve = %+v", u)
	}
}
