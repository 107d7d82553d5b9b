package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

func bindMount(source string, options ...string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: "/mnt", Options: append([]string{"rbind"}, options...)}
}

func running(uid uint32, groups []uint32, caps []string) *Running {
	u := oci.User{UID: uid, Groups: groups}
	return &Running{User: u, Spec: &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Effective: caps}}}}
}

// rootsVolume is a volume that root has used, with everything in it that chown must mind.
func rootsVolume(t *testing.T, e *Engine) string {
	t.Helper()
	need.Root(t)
	must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
	dir := e.Store.VolumeDir("data")
	p := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.MkdirAll(p("sub"), 0o755))
	for name, size := range map[string]int{"sub/file": 7, "su": 1, "ping": 1, "theirs": 1, "linked": 2, "outside": 1, "shadow": 1} {
		must(t, os.WriteFile(p(name), make([]byte, size), 0o644))
	}
	must(t, os.Link(p("linked"), p("sub/linked")))
	must(t, os.Link(p("outside"), filepath.Join(filepath.Dir(dir), "further")))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "victim"), nil, 0o600))
	must(t, os.Symlink("../victim", p("symlink")))
	must(t, syscall.Mkfifo(p("fifo"), 0o600))
	must(t, errors.Join(os.Chown(p("theirs"), 33, 0), os.Chown(p("shadow"), 0, 42)))
	must(t, syscall.Chmod(p("su"), 0o4755))
	must(t, unix.Setxattr(p("ping"), capabilityXattr, []byte(v2Caps), 0))
	return dir
}

// owners are the ids of everything in a tree.
func owners(t *testing.T, dir string) map[string][2]uint32 {
	t.Helper()
	got := map[string][2]uint32{}
	for _, name := range append(tree(t, dir), ".") {
		st := stat(t, filepath.Join(dir, name))
		got[filepath.Clean("/"+name)] = [2]uint32{st.Uid, st.Gid}
	}
	return got
}

func TestChownVolume(t *testing.T) {
	none := [2]uint32{0, 0}
	mine, ours := [2]uint32{9000, 0}, [2]uint32{9000, 9000}
	user := map[string][2]uint32{
		"/": mine, "/sub": mine, "/sub/file": mine, "/su": mine, "/ping": mine, "/theirs": {33, 0}, "/linked": mine,
		"/sub/linked": mine, "/outside": none, "/symlink": mine, "/fifo": mine, "/shadow": {9000, 42},
	}
	group := map[string][2]uint32{
		"/": ours, "/sub": ours, "/sub/file": ours, "/su": ours, "/ping": ours, "/theirs": {33, 0}, "/linked": ours,
		"/sub/linked": ours, "/outside": none, "/symlink": ours, "/fifo": ours, "/shadow": {9000, 42},
	}
	all := map[string][2]uint32{
		"/": ours, "/sub": ours, "/sub/file": ours, "/su": ours, "/ping": ours, "/theirs": ours, "/linked": ours,
		"/sub/linked": ours, "/outside": none, "/symlink": ours, "/fifo": ours, "/shadow": ours,
	}
	tests := map[string]struct {
		chown   Chown
		want    map[string][2]uint32
		changed int
		theirs  int
	}{
		"user":           {Chown{UID: 9000, GID: -1}, user, 9, 1},
		"user and group": {Chown{UID: 9000, GID: 9000}, group, 9, 1},
		"all":            {Chown{UID: 9000, GID: 9000, All: true}, all, 10, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			dir := rootsVolume(t, e)
			before := owners(t, dir)
			dry, err := e.ChownVolume(t.Context(), "data", tt.chown)
			must(t, err)
			if diff := cmp.Diff(before, owners(t, dir)); diff != "" {
				t.Errorf("only looked at: %s", diff)
			}
			tt.chown.Apply = true
			got, err := e.ChownVolume(t.Context(), "data", tt.chown)
			must(t, err)
			if diff := cmp.Diff(dry, got); diff != "" {
				t.Errorf("it said it would do something else: %s", diff)
			}
			if diff := cmp.Diff(tt.want, owners(t, dir)); diff != "" {
				t.Error(diff)
			}
			if got.Changed.Count != tt.changed || got.OthersFiles.Count != tt.theirs || got.Directories != 2 || got.Links != 1 || got.Others != 1 {
				t.Errorf("%+v", got)
			}
			one := func(f Found, path string) bool { return f.Count == 1 && f.First[0].Path == path }
			if !one(got.SetID, "/su") || !one(got.Capabilities, "/ping") || !one(got.Outside, "/outside") || len(got.Failed) != 0 {
				t.Errorf("%+v", got)
			}
			if st := stat(t, filepath.Join(dir, "su")); st.Mode&0o7777 != 0o755 {
				t.Errorf("a set-id program is kept: %o", st.Mode)
			}
			if st := stat(t, filepath.Join(filepath.Dir(dir), "victim")); st.Uid != 0 {
				t.Error("a link was followed")
			}
			again, err := e.ChownVolume(t.Context(), "data", tt.chown)
			must(t, err)
			if again.Changed.Count != 0 || again.Outside.Count != 1 {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

func TestChownRefuses(t *testing.T) {
	e := newEngine(t)
	dir := rootsVolume(t, e)
	host := filepath.Join(t.TempDir(), "host")
	must(t, errors.Join(os.Mkdir(host, 0o755), os.Mkdir(host+"/sub", 0o755), os.Symlink(host, host+".link")))
	cfg := Config{Named: []NamedVolume{{Name: "data", Path: "/a"}}}
	cfg.Spec.Mounts = []specs.Mount{bindMount(host + ".link/sub")}
	c := create(t, e, &store.Container{Name: "web"}, cfg)
	must(t, e.Store.SetState(c.Record.ID, store.State{Status: StatusRunning}))
	chown := Chown{UID: 9000, GID: 9000, Apply: true}
	for _, try := range []func() (*Chowned, error){
		func() (*Chowned, error) { return e.ChownVolume(t.Context(), "data", chown) },
		func() (*Chowned, error) { return e.ChownDirectory(t.Context(), host, chown) },
		func() (*Chowned, error) { return e.ChownDirectory(t.Context(), host+"/sub", chown) },
	} {
		_, err := try()
		if r, ok := errors.AsType[*RunningError](err); !ok || r.Container.Name != "web" {
			t.Errorf("running: %v", err)
		}
	}
	must(t, e.Store.SetState(c.Record.ID, store.State{Status: StatusExited}))
	c.Close()
	_, err := e.ChownDirectory(t.Context(), host+".link", chown)
	if l, ok := errors.AsType[*SymlinkError](err); !ok || l.Real != host {
		t.Errorf("a symbolic link: %v", err)
	}
	for name, wrong := range map[string]Chown{"uid": {UID: 65536, GID: -1}, "gid": {UID: 1, GID: 1 << 33}} {
		wrong.Apply = true
		_, err := e.ChownVolume(t.Context(), "data", wrong)
		if u, ok := errors.AsType[*UnmappedError](err); !ok || u.Count != 65536 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := e.ChownVolume(t.Context(), "nosuch", chown); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.ChownVolume(ended, "data", chown); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if st := stat(t, filepath.Join(dir, "sub")); st.Uid != 0 {
		t.Error("something was changed")
	}
	got, err := e.ChownDirectory(t.Context(), host, chown)
	must(t, err)
	if got.Changed.Count != 2 || stat(t, host+"/sub").Gid != 9000 {
		t.Errorf("stopped: %+v", got)
	}
}

// What a killed container left of the first filling belongs to the volume.
func TestChownAfterKilledFilling(t *testing.T) {
	need.Root(t)
	e, root := newEngine(t), imageRoot(t, 0)
	must(t, e.Store.CreateVolume(&store.Volume{Name: "data"}))
	v := named(e, "data", "/srv/data")
	if ok, err := v.copyAside(fillingOf(v.Dir).whole, root, 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
	got, err := e.ChownVolume(t.Context(), "data", Chown{UID: 9000, GID: 9000, All: true, Apply: true})
	must(t, err)
	if got.Seen != 6 || got.Outside.Count != 0 || stat(t, filepath.Join(v.Dir, "sub/same")).Uid != 9000 {
		t.Errorf("%+v", got)
	}
}

// Another file system is not entered, and a file that cannot be changed does not keep the others from it.
func TestChownAroundTrouble(t *testing.T) {
	e := newEngine(t)
	dir := rootsVolume(t, e)
	must(t, unix.Mount("tmpfs", filepath.Join(dir, "sub"), "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(dir, "sub"), 0)) })
	fixed, err := os.Open(filepath.Join(dir, "su"))
	must(t, err)
	defer func() { _ = fixed.Close() }()
	const immutable = 0x10
	flags, err := unix.IoctlGetUint32(int(fixed.Fd()), unix.FS_IOC_GETFLAGS)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(fixed.Fd()), unix.FS_IOC_SETFLAGS, int(flags|immutable)))
	defer func() { must(t, unix.IoctlSetPointerInt(int(fixed.Fd()), unix.FS_IOC_SETFLAGS, int(flags))) }()
	got, err := e.ChownVolume(t.Context(), "data", Chown{UID: 9000, GID: -1, Apply: true})
	must(t, err)
	if got.Mounts.Count != 1 || got.Mounts.First[0].Path != "/sub" || stat(t, filepath.Join(dir, "sub")).Uid != 0 {
		t.Errorf("%+v", got.Mounts)
	}
	if len(got.Failed) != 1 || !errors.Is(got.Failed[0], unix.EPERM) || got.Changed.Count == 0 || got.SetID.Count != 0 {
		t.Errorf("%v, %+v", got.Failed, got)
	}
}

// Whoever swaps directories for links meanwhile does not lead it out of the tree.
func TestChownIsNotLedAway(t *testing.T) {
	need.Root(t)
	victim, dir := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(victim+"/file", nil, 0o600))
	p := filepath.Join(dir, "a/b")
	must(t, os.MkdirAll(p, 0o755))
	must(t, os.WriteFile(p+"/file", nil, 0o600))
	must(t, os.Symlink(victim, dir+"/link"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default: // the directory and the link change places
				_ = unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, dir+"/link", unix.RENAME_EXCHANGE)
			}
		}
	})
	for range 300 {
		fd, err := openReal(dir)
		must(t, err)
		if _, err := chownTree(t.Context(), fd, Chown{UID: 9000, GID: 9000, All: true, Apply: true}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if stat(t, victim).Uid != 0 || stat(t, victim+"/file").Uid != 0 {
		t.Error("files outside of the tree were changed")
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range []struct {
		p, dir string
		want   bool
	}{
		{"/a/b", "/a", true}, {"/a", "/a", true}, {"/a", "/a/b", false}, {"/ab", "/a", false}, {"/a", "/", true}, {"/", "/", true},
	} {
		if got := Below(tt.p, tt.dir); got != tt.want {
			t.Errorf("Below(%s, %s) = %t", tt.p, tt.dir, got)
		}
	}
}
