package cli

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/engine"
)

func TestParseOwner(t *testing.T) {
	const bad = `invalid owner %q: it is UID[:GID], two numbers`
	tests := map[string]struct {
		uid uint32
		gid int64
		err string
	}{
		"9000":        {9000, -1, ""},
		"0":           {0, -1, ""},
		"9000:9001":   {9000, 9001, ""},
		"4294967295":  {4294967295, -1, ""},
		"4294967296":  {0, 0, bad},
		"redis":       {0, 0, bad},
		"9000:redis":  {0, 0, bad},
		"9000:":       {0, 0, bad},
		":9000":       {0, 0, bad},
		"-1":          {0, 0, bad},
		"+1":          {0, 0, bad},
		"1:2:3":       {0, 0, bad},
		"":            {0, 0, bad},
		"9000:-1":     {0, 0, bad},
		"9000: 9000":  {0, 0, bad},
		"0x10":        {0, 0, bad},
		"00009000:07": {9000, 7, ""},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			uid, gid, err := parseOwner(in)
			want := tt.err
			if want != "" {
				want = fmt.Sprintf(want, in)
			}
			if text(err) != want || uid != tt.uid || gid != tt.gid {
				t.Errorf("%d, %d, %v", uid, gid, err)
			}
		})
	}
}

func FuzzParseOwner(f *testing.F) {
	for _, s := range []string{"9000", "9000:9000", ":", "-1", "0:0", "4294967295:4294967295", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		uid, gid, err := parseOwner(s)
		if err != nil {
			return
		}
		said := fmt.Sprint(uid)
		if gid >= 0 {
			said += fmt.Sprintf(":%d", gid)
		}
		u, g, err := parseOwner(said)
		if err != nil || u != uid || g != gid || gid < -1 || gid > 1<<32-1 {
			t.Errorf("%q: %d:%d, then %d:%d, %v", s, uid, gid, u, g, err)
		}
	})
}

func TestSystemDirectory(t *testing.T) {
	for dir, want := range map[string]bool{
		"/": true, "/etc": true, "/etc/redis": true, "/usr/lib/x": true, "/var": true, "/var/lib": true, "/home": true, "/tmp": true,
		"/var/lib/redis": false, "/home/me": false, "/srv/data": false, "/data": false, "/etcetera": false, "/root/data": false,
	} {
		if got := systemDirectory(dir); got != want {
			t.Errorf("%s: %t", dir, got)
		}
	}
}

func TestChownText(t *testing.T) {
	one := func(path string, uid uint32) engine.Found {
		return engine.Found{Count: 1, First: []engine.Owned{{Path: path, UID: uid, GID: uid}}}
	}
	done := &engine.Chowned{
		Seen: 12, Changed: engine.Found{Count: 9, First: []engine.Owned{{Path: "/"}, {Path: "/a\x1b[2J"}}}, Bytes: 1234567,
		Directories: 1, Files: 6, Links: 1, Others: 1, SetID: one("/su", 0), Capabilities: one("/ping", 0),
		OthersFiles: one("/www", 33), Outside: one("/out", 0), Mounts: one("/mnt", 0),
	}
	tests := map[string]struct {
		done *engine.Chowned
		o    volumeChownOptions
		want string
	}{
		"dry": {done: done, want: `data: 9 of 12 files would be given to 9000: 1 directory, 6 files (1.23MB), 1 symbolic link, 1 special file
  0:0  /
  0:0  "/a\x1b[2J"
  and 7 more
1 would lose set-id bits: no file keeps them when its owner changes
  0:0  /su
1 would lose file capabilities: no file keeps them when its owner changes
  0:0  /ping
1 of other users would stay as it is; --all changes those too
  33:33  /www
1 would stay as it is: it has a further name outside of here
  0:0  /out
/mnt was not looked at: something is mounted there
nothing has been changed; to do it:  deckhand volume chown --yes data 9000
`},
		"done": {done: &engine.Chowned{Seen: 2, Changed: one("/", 0), Directories: 1, SetID: one("/su", 0)}, o: volumeChownOptions{yes: true}, want: `data: 1 of 2 files was given to 9000: 1 directory
  0:0  /
1 lost set-id bits: no file keeps them when its owner changes
  0:0  /su
`},
		"all": {done: &engine.Chowned{Seen: 2, Changed: engine.Found{Count: 2, First: []engine.Owned{{Path: "/"}, {Path: "/d"}}}, Directories: 2}, o: volumeChownOptions{all: true}, want: `data: 2 of 2 files would be given to 9000: 2 directories
  0:0  /
  0:0  /d
nothing has been changed; to do it:  deckhand volume chown --yes --all data 9000
`},
		"nothing": {done: &engine.Chowned{Seen: 1}, want: "data: nothing to change: of 1 file none belongs to root\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := chownText{Chowned: tt.done, options: &tt.o, name: "data", owner: "9000"}.String()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
