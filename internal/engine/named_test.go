package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// named is a volume of that name at a path of the image.
func named(e *Engine, name, path string) Volume {
	return NamedVolume{Name: name, Path: path}.volume(e.Store)
}

// mustPrepare prepares a volume and returns what is in it.
func mustPrepare(t *testing.T, e *Engine, v Volume, root *os.File, base int) []string {
	t.Helper()
	if err := e.prepare(t.Context(), v, root, base); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Dir(v.Dir) + "/_new*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	return tree(t, v.Dir)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamedVolume(t *testing.T) {
	need.Root(t)
	const base = 1 << 20
	root, e := imageRoot(t, base), newEngine(t)
	v := named(e, "data", "/srv/data")
	if got := mustPrepare(t, e, v, root, base); len(got) != 5 {
		t.Errorf("%v", got)
	}
	if st := stat(t, v.Dir); st.Uid != 1000 || st.Gid != 1000 || st.Mode&0o7777 != 0o1777 {
		t.Errorf("the volume itself: %d:%d, mode %o", st.Uid, st.Gid, st.Mode)
	}
	if st := stat(t, filepath.Join(v.Dir, "file")); st.Uid != 1000 || st.Gid != 7 || st.Mode&0o7777 != 0o4750 || st.Nlink != 2 {
		t.Errorf("file: %+v", st)
	}
	// It is not filled again, not even at another path, until it is empty.
	must(t, os.Remove(filepath.Join(v.Dir, "file")))
	if got := mustPrepare(t, e, named(e, "data", "/srv"), root, base); len(got) != 4 {
		t.Errorf("%v", got)
	}
	// What the image does not have is empty, as is what is not to be copied.
	for _, v := range []Volume{
		named(e, "none", "/nosuch"),
		NamedVolume{Name: "nocopy", Path: "/srv/data", NoCopy: true}.volume(e.Store),
	} {
		if got := mustPrepare(t, e, v, root, base); len(got) != 0 {
			t.Errorf("%s: %v", v.named.Name, got)
		}
		if st := stat(t, v.Dir); st.Uid != 0 || st.Mode&0o7777 != 0o755 {
			t.Errorf("%s: uid %d, mode %o", v.named.Name, st.Uid, st.Mode)
		}
	}
}

// An empty volume whose owner somebody has chosen keeps it.
func TestNamedVolumeOwnerStays(t *testing.T) {
	need.Root(t)
	root, e := imageRoot(t, 0), newEngine(t)
	v := named(e, "data", "/srv/data")
	must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
	must(t, os.Chown(v.Dir, 9000, 9000))
	if got := mustPrepare(t, e, v, root, 0); len(got) != 5 {
		t.Errorf("%v", got)
	}
	if st := stat(t, v.Dir); st.Uid != 9000 || st.Mode&0o7777 != 0o755 {
		t.Errorf("uid %d, mode %o", st.Uid, st.Mode)
	}
}

// Whoever is killed on the way is followed by another who ends with the same.
func TestNamedVolumeKilled(t *testing.T) {
	need.Root(t)
	root := imageRoot(t, 0)
	whole := func(t *testing.T, v Volume, f filling) {
		t.Helper()
		if ok, err := v.copyAside(f.whole, root, 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	tests := map[string]struct {
		killed func(*testing.T, Volume, filling)
		nocopy bool
		want   string // of the file "file"
	}{
		"while copying": {want: "content", killed: func(t *testing.T, _ Volume, f filling) {
			must(t, os.Mkdir(f.whole+partSuffix, 0o700))
			must(t, os.WriteFile(f.whole+partSuffix+"/file", []byte("cont"), 0o600))
		}},
		"before moving": {want: "content", killed: whole},
		"while moving": {want: "content", killed: func(t *testing.T, v Volume, f filling) {
			whole(t, v, f)
			must(t, os.Rename(f.whole+"/link", v.Dir+"/link"))
			must(t, os.Rename(f.whole+"/sub", v.Dir+"/sub"))
		}},
		"before the owner": {want: "content", killed: func(t *testing.T, v Volume, f filling) {
			whole(t, v, f)
			for _, name := range []string{"link", "sub", "file", "fifo"} {
				must(t, os.Rename(f.whole+"/"+name, v.Dir+"/"+name))
			}
		}},
		"and the next one does not copy": {want: "content", nocopy: true, killed: whole},
		"and somebody was quicker": {want: "mine", killed: func(t *testing.T, v Volume, f filling) {
			whole(t, v, f)
			must(t, os.WriteFile(v.Dir+"/file", []byte("mine"), 0o600))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			v := NamedVolume{Name: "data", Path: "/srv/data", NoCopy: tt.nocopy}.volume(e.Store)
			must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
			tt.killed(t, v, fillingOf(v.Dir))
			if got := mustPrepare(t, e, v, root, 0); len(got) != 5 {
				t.Errorf("%v", got)
			}
			if st := stat(t, v.Dir); st.Uid != 1000 || st.Mode&0o7777 != 0o1777 {
				t.Errorf("uid %d, mode %o", st.Uid, st.Mode)
			}
			if b, err := os.ReadFile(v.Dir + "/file"); err != nil || string(b) != tt.want {
				t.Errorf("file: %q, %v", b, err)
			}
		})
	}
}

// One of two copies, the other waits for it.
func TestNamedVolumeTogether(t *testing.T) {
	need.Root(t)
	root, e := imageRoot(t, 0), newEngine(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v := named(e, "data", "/srv/data")
			if err := e.prepare(t.Context(), v, root, 0); err != nil {
				t.Error(err)
			}
			if st := stat(t, filepath.Join(v.Dir, "sub/same")); st.Nlink != 2 {
				t.Errorf("%+v", st)
			}
		})
	}
	wg.Wait()
	if got := mustPrepare(t, e, named(e, "data", "/srv/data"), root, 0); len(got) != 5 {
		t.Errorf("%v", got)
	}
}

// An anonymous volume is filled anew where its filling was killed.
func TestVolumeFillKilled(t *testing.T) {
	need.Root(t)
	root := imageRoot(t, 0)
	v := Volume{Path: "/srv/data", Dir: filepath.Join(t.TempDir(), "0")}
	must(t, errors.Join(os.Mkdir(v.Dir, 0o755), os.Mkdir(v.Dir+partSuffix, 0o700)))
	must(t, os.WriteFile(v.Dir+partSuffix+"/file", []byte("cont"), 0o600))
	must(t, v.fill(root, 0))
	if got := tree(t, v.Dir); len(got) != 5 {
		t.Errorf("%v", got)
	}
	if _, err := os.Lstat(v.Dir + partSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
}

// v2Caps and v3Caps give cap_net_raw, in version 3 to the namespace whose root is 1<<20.
const (
	v2Caps = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	v3Caps = "\x01\x00\x00\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00"
)

// acl gives a user with the id rwx.
func acl(id string) string {
	const entry = "\xff\xff\xff\xff"
	return "\x02\x00\x00\x00" + "\x01\x00\x07\x00" + entry + "\x02\x00\x07\x00" + id +
		"\x04\x00\x05\x00" + entry + "\x10\x00\x07\x00" + entry + "\x20\x00\x05\x00" + entry
}

func TestVolumeXattrs(t *testing.T) {
	need.Root(t)
	const base = 1 << 20
	root := imageRoot(t, base)
	data := filepath.Join(root.Name(), "srv/data")
	for file, attrs := range map[string]map[string]string{
		"file": {"security.capability": v3Caps, "user.note": "kept", "user.overlay.origin": "not kept"},
		"sub":  {"system.posix_acl_default": acl("\xe8\x03\x10\x00"), "user.empty": ""},
		".":    {"system.posix_acl_access": acl("\xe8\x03\x10\x00")},
	} {
		for name, value := range attrs {
			must(t, unix.Lsetxattr(filepath.Join(data, file), name, []byte(value), 0))
		}
	}
	v := Volume{Path: "/srv/data", Dir: t.TempDir()}
	must(t, v.fill(root, base))
	got := map[string]string{}
	for _, file := range []string{"file", "sub", ".", "fifo"} {
		names, err := xattrNames(filepath.Join(v.Dir, file))
		must(t, err)
		for _, name := range names {
			value, err := xattr(filepath.Join(v.Dir, file), name)
			must(t, err)
			got[file+" "+name] = string(value)
		}
	}
	want := map[string]string{
		"file security.capability": v2Caps, "file user.note": "kept",
		"sub system.posix_acl_default": acl("\xe8\x03\x00\x00"), "sub user.empty": "",
		". system.posix_acl_access": acl("\xe8\x03\x00\x00"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnshift(t *testing.T) {
	tests := map[string]struct {
		base int
		id   uint32
		want int
	}{
		"root":             {1 << 20, 1 << 20, 0},
		"the last":         {1 << 20, 1<<20 + 65535, 65535},
		"of another range": {1 << 20, 1<<20 + 65536, nobody},
		"not mapped":       {1 << 20, 65534, nobody},
		"not shifted":      {0, 100000, 100000},
	}
	for name, tt := range tests {
		if got := (&treeCopy{idBase: tt.base}).unshift(tt.id); got != tt.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	for _, odd := range []string{"", "\x00", v3Caps[:23], strings.Replace(v3Caps, "\x10", "\x11", 1)} {
		if got := unshiftCapability([]byte(odd), 1<<20); string(got) != odd {
			t.Errorf("%q became %q", odd, got)
		}
	}
	if got := unshiftACL([]byte("\x02\x00\x00\x00\x02\x00\x07"), 1); len(got) != 7 {
		t.Errorf("a short list became %q", got)
	}
}

func TestRemoveVolume(t *testing.T) {
	e := newEngine(t)
	must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
	cfg := Config{Named: []NamedVolume{{Name: "data", Path: "/a"}, {Name: "data", Path: "/b"}, {Name: "later", Path: "/c"}}}
	c := create(t, e, &store.Container{Name: "web"}, cfg)
	users, err := e.VolumeUsers()
	must(t, err)
	if len(users) != 2 || len(users["data"]) != 1 || users["data"][0].Name != "web" {
		t.Errorf("%v", users)
	}
	err = e.RemoveVolume(t.Context(), "data")
	used, ok := errors.AsType[*VolumeInUseError](err)
	if !ok || !errors.Is(err, store.ErrInUse) || used.Users[0].Name != "web" ||
		err.Error() != "remove data: volume is in use - ["+c.Record.ID+"]" {
		t.Errorf("in use: %v", err)
	}
	if err := e.RemoveVolume(t.Context(), "nosuch"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	must(t, c.Remove())
	must(t, e.RemoveVolume(t.Context(), "data"))
	if all, err := e.Store.Volumes(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestUnwritable(t *testing.T) {
	need.Root(t)
	type result struct {
		Volume   string
		UID, GID uint32
		Mode     uint32
	}
	tests := map[string]struct {
		uid, gid int
		mode     uint32
		config   func(dir string) Config
		caps     []string
		user     uint32
		groups   []uint32
		acl      bool
		want     bool
	}{
		"root's":               {mode: 0o755, user: 9000, want: true},
		"for everybody":        {mode: 0o757, user: 9000},
		"the user's own":       {uid: 9000, mode: 0o700, user: 9000},
		"somebody else's":      {uid: 33, mode: 0o700, user: 9000},
		"of a group":           {gid: 7, mode: 0o775, user: 9000, groups: []uint32{9000, 7}},
		"of the primary group": {mode: 0o775, user: 9000, groups: nil},
		"of another group":     {gid: 8, mode: 0o775, user: 9000, groups: []uint32{9000, 7}, want: true},
		"read-only for groups": {gid: 7, mode: 0o755, user: 9000, groups: []uint32{7}, want: true},
		"for root":             {mode: 0o755},
		"for one who may":      {mode: 0o755, user: 9000, caps: []string{"CAP_DAC_OVERRIDE"}},
		"with other powers":    {mode: 0o755, user: 9000, caps: []string{"CAP_NET_RAW"}, want: true},
		"with a list":          {mode: 0o775, gid: 8, user: 9000, acl: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
			dir := e.Store.VolumeDir("data")
			must(t, errors.Join(os.Chown(dir, tt.uid, tt.gid), syscall.Chmod(dir, tt.mode)))
			if tt.acl {
				must(t, unix.Setxattr(dir, accessACLXattr, []byte(acl("\x28\x23\x00\x00")), 0))
			}
			bind := filepath.Join(t.TempDir(), "host")
			must(t, errors.Join(os.Mkdir(bind, 0o755), syscall.Chmod(bind, 0o1755)))
			file := filepath.Join(bind, "file")
			must(t, os.WriteFile(file, nil, 0o600))
			var got []result
			c := &Container{engine: e, Unwritable: func(m Unwritable) {
				got = append(got, result{m.Volume, m.UID, m.GID, m.Mode})
			}}
			c.Config.Named = []NamedVolume{{Name: "data", Path: "/a"}, {Name: "data", Path: "/ro", ReadOnly: true}}
			for _, source := range []string{bind, file, bind + "/nosuch"} {
				c.Config.Spec.Mounts = append(c.Config.Spec.Mounts, bindMount(source), bindMount(source, "ro"))
			}
			c.lookAtMounts(running(tt.user, tt.groups, tt.caps))
			var want []result
			if tt.want {
				want = append(want, result{"data", uint32(tt.uid), uint32(tt.gid), tt.mode})
			}
			if tt.user != 0 && !slices.Contains(tt.caps, "CAP_DAC_OVERRIDE") {
				want = append(want, result{"", 0, 0, 0o1755})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if !c.watchesMounts() || (&Container{Unwritable: c.Unwritable}).watchesMounts() || (&Container{Config: c.Config}).watchesMounts() {
				t.Error("looks at mounts where there are none, or nobody wants to know")
			}
		})
	}
}
