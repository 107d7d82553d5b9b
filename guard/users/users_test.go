package users_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/user"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"toor:x:0:7::/:\n" +
		"app:x:1000:1001::/home/app:\n" +
		"app:x:0:0:again:/:\n" +
		"svc:x:50:0::/:\n" +
		"odd:x:abc:5::/:\n" +
		"big:x:4294967296:5::/:\n" +
		"1234:x:77:78::/:\n"
	group = "root:x:0:\naudio:x:29:app\nroot2:x:0:\nbad:x:-1:\n55:x:66:\n"
)

func span(least, most uint32) guard.ID { return guard.ID{Least: least, Most: most} }

func TestResolve(t *testing.T) {
	zero := guard.Exactly(0)
	tests := map[string]struct {
		spec string
		want guard.User
	}{
		"nobody set":     {"", guard.User{Name: "root"}},
		"zero":           {"0", guard.User{Name: "root"}},
		"zeros":          {"00", guard.User{Name: "root"}},
		"plus zero":      {"+0", guard.User{Name: "root"}},
		"minus zero":     {"-0", guard.User{Name: "root"}},
		"0:0":            {"0:0", guard.User{Name: "root", GroupSet: true}},
		"root":           {"root", guard.User{Name: "root"}},
		"root:root":      {"root:root", guard.User{Name: "root", GroupSet: true}},
		"alias":          {"toor", guard.User{Name: "toor", Alias: "root", GID: guard.Exactly(7)}},
		"name":           {"app", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(1001)}},
		"name and colon": {"app:", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(1001)}},
		"number":         {"1000", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(1001)}},
		"plus":           {"+01000", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(1001)}},
		"no entry":       {"9000", guard.User{UID: guard.Exactly(9000), NoEntry: true}},
		"name and group": {"app:audio", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(29), GroupSet: true}},
		"group by gid":   {"app:029", guard.User{Name: "app", UID: guard.Exactly(1000), GID: guard.Exactly(29), GroupSet: true}},
		"root's alias":   {"app:root2", guard.User{Name: "app", UID: guard.Exactly(1000), GroupSet: true}},
		"only a group":   {":audio", guard.User{Name: "root", GID: guard.Exactly(29), GroupSet: true}},
		"not a number":   {"odd", guard.User{Name: "odd", Alias: "root", UID: zero, GID: guard.Exactly(5)}},
		"number as name": {"1234", guard.User{UID: guard.Exactly(1234), NoEntry: true}},
		"no user":        {"nosuch", guard.User{Missing: "unable to find user nosuch: no matching entries in passwd file"}},
		"no group":       {"app:nosuch", guard.User{Missing: "unable to find group nosuch: no matching entries in group file", Name: "app", GroupSet: true}},
		"negative":       {"-1", guard.User{Missing: "uids and gids must be in range 0-2147483647"}},
		"too great":      {"2147483648", guard.User{Missing: "uids and gids must be in range 0-2147483647"}},
		"group range":    {"0:99999999999999999999", guard.User{Missing: "uids and gids must be in range 0-2147483647"}},
		"entry's range":  {"big", guard.User{Name: "big", Missing: "uids and gids must be in range 0-2147483647"}},
		"group's range":  {"app:bad", guard.User{Missing: "uids and gids must be in range 0-2147483647", Name: "app", GroupSet: true}},
		"greatest":       {"2147483647", guard.User{UID: guard.Exactly(guard.MaxID), NoEntry: true}},
		"space":          {" app", guard.User{Missing: "unable to find user  app: no matching entries in passwd file"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.want.Spec = tt.spec
			if diff := cmp.Diff(tt.want, users.Parse([]byte(passwd), []byte(group)).Resolve(tt.spec)); diff != "" {
				t.Errorf("Resolve (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzResolve compares with what docker uses.
func FuzzResolve(f *testing.F) {
	for _, spec := range []string{"", "app", "0", "00", "+0", "-0", "app:audio", ":55", "odd", "big", "x:y", "1:bad", "svc", "-1"} {
		f.Add([]byte(passwd), []byte(group), spec, true, true)
		f.Add([]byte("#x\n app:x\n:::\n"), []byte("audio\n#a:1:2\n:::"), spec, true, false)
		f.Add([]byte{}, []byte{}, spec, false, true)
	}
	f.Add(bytes.Repeat([]byte("a"), 1<<17), []byte(""), "a", true, true)
	f.Add([]byte("a:b:1:2"), bytes.Repeat([]byte("a"), 1<<21), "a", true, true)
	f.Fuzz(func(t *testing.T, passwd, group []byte, spec string, withPasswd, withGroup bool) {
		var p, g io.Reader
		if !withPasswd {
			passwd = nil
		} else {
			passwd = append([]byte{}, passwd...)
			p = bytes.NewReader(passwd)
		}
		if !withGroup {
			group = nil
		} else {
			group = append([]byte{}, group...)
			g = bytes.NewReader(group)
		}
		got := users.Parse(passwd, group).Resolve(spec)
		want, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, p, g)
		if err == nil && (want.Uid < 0 || want.Uid > guard.MaxID || want.Gid < 0 || want.Gid > guard.MaxID) {
			err = user.ErrRange
		}
		if err != nil {
			if errors.Is(err, user.ErrRange) {
				err = user.ErrRange
			}
			if got.Missing != err.Error() {
				t.Fatalf("Resolve(%q).Missing = %q, want %q", spec, got.Missing, err)
			}
			return
		}
		if got.Missing != "" || got.Unknown != "" || !got.UID.Known() || !got.GID.Known() ||
			int(got.UID.Least) != want.Uid || int(got.GID.Least) != want.Gid {
			t.Fatalf("Resolve(%q) = %+v, want %+v", spec, got, want)
		}
	})
}
