package users_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

const (
	onePasswd = "root:x:0:0::/:\napp:x:1000:1001::/:\n"
	oneGroup  = "root:x:0:\naudio:x:29:\n"
)

func TestWrite(t *testing.T) {
	db := users.Parse(nil, nil)
	db.Apply(users.Change{Name: "old"})
	db.Write(users.Passwd, []byte(onePasswd))
	db.Apply(users.Change{Name: "new", HasUID: true, UID: guard.Exactly(7)})
	if u := db.Resolve("app"); u.UID != guard.Exactly(1000) || u.GID != guard.Exactly(1001) {
		t.Errorf("app is %+v", u)
	}
	if u := db.Resolve("new"); u.UID != guard.Exactly(7) {
		t.Errorf("new is %+v", u)
	}
	if u := db.Resolve("old"); u.Missing == "" {
		t.Errorf("old is still there: %+v", u)
	}
	if u := db.Resolve("app:audio"); u.Missing == "" {
		t.Errorf("there is no group file, and audio is %+v", u)
	}
	db.Write(users.Group, []byte(oneGroup))
	if u := db.Resolve("app:audio"); u.GID != guard.Exactly(29) {
		t.Errorf("audio is %+v", u)
	}
}

func TestCopy(t *testing.T) {
	from := users.Parse([]byte(onePasswd), []byte(oneGroup))
	db := users.Parse(nil, nil)
	db.Copy(users.Passwd, from)
	from.Apply(users.Change{Kind: users.RemoveUser, Name: "app"})
	if u := db.Resolve("app"); u.UID != guard.Exactly(1000) {
		t.Errorf("app is %+v", u)
	}
	if u := db.Resolve("1:audio"); u.Missing == "" {
		t.Errorf("the group file was not copied, and audio is %+v", u)
	}
}

func TestCopyReadsForNamesOnly(t *testing.T) {
	reads := 0
	from := users.Lazy(false, func() (passwd, group []byte, err error) {
		reads++
		return []byte(onePasswd), nil, nil
	})
	db := users.Parse(nil, nil)
	db.Copy(users.Passwd, from)
	if u := db.Resolve("1000"); u.UID != guard.Exactly(1000) || u.NoEntry || reads != 0 {
		t.Errorf("1000 is %+v after %d transfers", u, reads)
	}
	if u := db.Clone().Resolve("app"); u.UID != guard.Exactly(1000) || reads != 1 {
		t.Errorf("app is %+v after %d transfers", u, reads)
	}
}

// TestCopiesOfCopies would not end if each copy were worked out by itself.
func TestCopiesOfCopies(t *testing.T) {
	for name, cheap := range map[string]bool{"local": true, "remote": false} {
		t.Run(name, func(t *testing.T) {
			last := users.Lazy(cheap, func() (passwd, group []byte, err error) { return []byte(onePasswd), nil, nil })
			for range 60 {
				next := users.Parse(nil, nil)
				next.Copy(users.Passwd, last)
				next.Copy(users.Group, last)
				next.Copy(users.Passwd, last)
				last = next
			}
			if u := last.Resolve("1000"); u.UID != guard.Exactly(1000) {
				t.Errorf("1000 is %+v", u)
			}
			if u := last.Resolve("app"); u.UID != guard.Exactly(1000) {
				t.Errorf("app is %+v", u)
			}
		})
	}
}
