package images_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
)

// fakeFiles is an image's layers.
type fakeFiles struct {
	content map[string]string
	files   []guard.File
	large   []string
	err     error
	reads   [][]string
}

func (f *fakeFiles) Read(_ context.Context, paths ...string) (map[string][]byte, error) {
	f.reads = append(f.reads, paths)
	if f.err != nil {
		return nil, f.err
	}
	found := map[string][]byte{}
	var large []string
	for _, p := range paths {
		if text, ok := f.content[p]; ok {
			found[p] = []byte(text)
		}
		if slices.Contains(f.large, p) {
			large = append(large, p)
		}
	}
	if len(large) > 0 {
		return found, &guard.TooLargeError{Paths: large}
	}
	return found, nil
}

func (f *fakeFiles) Walk(_ context.Context, visit func(guard.File) error) error {
	for _, file := range f.files {
		if err := visit(file); err != nil {
			return err
		}
	}
	return f.err
}

const (
	passwd = "root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"
	group  = "root:x:0:\napp:x:1234:\naudio:x:29:\n"
)

func known() *fakeFiles {
	return &fakeFiles{content: map[string]string{"/etc/passwd": passwd, "/etc/group": group}}
}

// image is one with these files.
func image(files guard.Files, local bool, config v1.ImageConfig) *guard.Image {
	img := &guard.Image{Name: "corp/app:v1", From: "a test", Files: files, Local: local}
	img.Config.Config.ImageConfig = config
	return img
}

var errGone = errors.New("the registry has lost it")

func TestUser(t *testing.T) {
	inherited := "image corp/app:v1"
	for name, tc := range map[string]struct {
		files *fakeFiles
		local bool
		image string // its USER
		spec  string
		want  guard.User
		reads int
	}{
		"nobody sets one":       {known(), false, "", "", guard.User{From: inherited, Inherited: true}, 0},
		"a number, remote":      {known(), false, "1000", "", guard.User{Spec: "1000", From: inherited, Inherited: true, UID: guard.Exactly(1000)}, 0},
		"a number, local":       {known(), true, "1234", "", guard.User{Spec: "1234", From: inherited, Inherited: true, UID: guard.Exactly(1234), GID: guard.Exactly(1234), Name: "app"}, 1},
		"a name, remote":        {known(), false, "app", "", guard.User{Spec: "app", From: inherited, Inherited: true, UID: guard.Exactly(1234), GID: guard.Exactly(1234), Name: "app"}, 1},
		"replaced by a number":  {known(), false, "app", "0", guard.User{Spec: "0"}, 0},
		"replaced by a name":    {known(), false, "", "toor", guard.User{Spec: "toor", Name: "toor", Alias: "root"}, 1},
		"replaced with a group": {known(), false, "", "app:audio", guard.User{Spec: "app:audio", UID: guard.Exactly(1234), GID: guard.Exactly(29), Name: "app", GroupSet: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := images.User(t.Context(), image(tc.files, tc.local, v1.ImageConfig{User: tc.image}), tc.spec)
			if !tc.local && tc.reads == 0 { // what the passwd file would add is not known, and not asked
				tc.want.Name, tc.want.GID, tc.want.NoEntry = got.Name, got.GID, got.NoEntry
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			if len(tc.files.reads) != tc.reads {
				t.Errorf("files were read %d times, want %d", len(tc.files.reads), tc.reads)
			}
		})
	}
	missing := images.User(t.Context(), image(known(), false, v1.ImageConfig{User: "nosuch"}), "")
	if missing.Missing == "" || missing.From != inherited {
		t.Errorf("missing: %+v", missing)
	}
	for name, img := range map[string]*guard.Image{
		"layers out of reach": image(nil, false, v1.ImageConfig{User: "app"}),
		"layers damaged":      image(&fakeFiles{err: errGone}, true, v1.ImageConfig{User: "app"}),
		"no image":            nil,
	} {
		if u := images.User(t.Context(), img, "app"); u.Unknown == "" || u.UID.Known() {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

func TestArgv(t *testing.T) {
	both := image(nil, false, v1.ImageConfig{Entrypoint: []string{"/e"}, Cmd: []string{"a", "b"}})
	for name, tc := range map[string]struct {
		img                 *guard.Image
		entrypoint, command []string
		want                []string
	}{
		"the image's":        {both, nil, nil, []string{"/e", "a", "b"}},
		"another command":    {both, nil, []string{"c"}, []string{"/e", "c"}},
		"no command":         {both, nil, []string{}, []string{"/e"}},
		"another entrypoint": {both, []string{"/x"}, nil, []string{"/x"}},
		"both":               {both, []string{"/x"}, []string{"c"}, []string{"/x", "c"}},
		"no entrypoint":      {both, []string{}, []string{"c"}, []string{"c"}},
		"an empty one":       {both, []string{""}, []string{"c"}, []string{"c"}},
		"no image":           {nil, nil, []string{"c"}, []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := images.Argv(tc.img, tc.entrypoint, tc.command); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDrop(t *testing.T) {
	const script = "#!/bin/sh\nset -e\nexec gosu app \"$@\"\n"
	files := func(path string) *fakeFiles {
		f := known()
		f.content[path] = script
		return f
	}
	env := []string{"PATH=/opt/bin:/usr/bin"}
	for name, tc := range map[string]struct {
		files *fakeFiles
		local bool
		dir   string
		argv  []string
		want  string // the script, "-" for the command itself
	}{
		"the command itself":   {known(), false, "", []string{"gosu", "app", "server"}, "-"},
		"an absolute script":   {files("/entrypoint.sh"), true, "", []string{"/entrypoint.sh", "server"}, "/entrypoint.sh"},
		"by PATH":              {files("/usr/bin/start"), true, "", []string{"start", "server"}, "/usr/bin/start"},
		"first of PATH":        {files("/opt/bin/start"), true, "", []string{"start", "server"}, "/opt/bin/start"},
		"by working directory": {files("/srv/start.sh"), true, "/srv", []string{"./start.sh", "server"}, "/srv/start.sh"},
		"under tini":           {files("/entrypoint.sh"), true, "", []string{"/sbin/tini", "--", "/entrypoint.sh", "server"}, "/entrypoint.sh"},
		"a remote script":      {files("/entrypoint.sh"), false, "", []string{"/entrypoint.sh", "server"}, ""},
		"a large program": {
			&fakeFiles{content: map[string]string{"/entrypoint.sh": script}, large: []string{"/opt/bin/tini"}}, true, "",
			[]string{"tini", "/entrypoint.sh", "server"},
			"/entrypoint.sh",
		},
		"nothing of the kind": {known(), true, "", []string{"/server"}, ""},
		"no command":          {known(), true, "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := images.Drop(t.Context(), image(tc.files, tc.local, v1.ImageConfig{Env: env, WorkingDir: tc.dir}), tc.argv)
			got := ""
			if d != nil {
				got = strings.Replace("-"+d.Script, "-/", "/", 1)
			}
			if got != tc.want || d != nil && d.Spec != "app" {
				t.Errorf("got %+v, want %q", d, tc.want)
			}
			if !tc.local && len(tc.files.reads) > 0 {
				t.Error("files of a remote image were read")
			}
		})
	}
	if d := images.Drop(t.Context(), nil, []string{"gosu", "app", "server"}); d == nil {
		t.Error("without an image the command is not looked at")
	}
}

func TestSubject(t *testing.T) {
	f := known()
	f.content["/entrypoint.sh"] = "#!/bin/sh\nexec gosu app \"$@\"\n"
	img := image(f, true, v1.ImageConfig{
		Entrypoint: []string{"/entrypoint.sh"}, Cmd: []string{"serve"}, Env: []string{"PATH=/usr/bin", "TOKEN=x=y", "odd"},
		ExposedPorts: map[string]struct{}{"443/tcp": {}, "53/udp": {}, "8080": {}, "nonsense": {}, "0/tcp": {}},
	})
	img.Config.History = []v1.History{
		{CreatedBy: "RUN |1 SECRET=s3 /bin/sh -c apt-get update && apt-get install -y nmap # buildkit"},
		{CreatedBy: "COPY --chown=app:app . /srv # buildkit"},
	}
	got, err := images.Subject(t.Context(), "docker://corp/app:v1", img)
	if err != nil {
		t.Fatal(err)
	}
	at := guard.Location{Path: "docker://corp/app:v1"}
	want := &guard.Subject{
		Kind: guard.KindImage, Name: "image", Where: at, Image: "corp/app:v1", ImageAt: at,
		User:    guard.User{Name: "root", Where: at},
		Drop:    &guard.Drop{By: "gosu", Spec: "app", To: got.Drop.To, Where: at, Script: "/entrypoint.sh", Certain: true},
		Command: guard.Command{Args: []string{"/entrypoint.sh", "serve"}, Where: at},
		Ports: []guard.Port{
			{Number: 53, Protocol: "udp", Where: at}, {Number: 443, Protocol: "tcp", Where: at}, {Number: 8080, Protocol: "tcp", Where: at},
		},
		Variables: []guard.Variable{
			{Name: "PATH", Value: "/usr/bin", Where: at},
			{Name: "TOKEN", Value: "x=y", Where: at},
			{Name: "SECRET", Value: "s3", Arg: true, Where: at},
		},
		Steps:    []guard.Step{{Where: at, Manager: "apt-get", Installs: []string{"nmap"}}},
		Contents: &guard.Contents{},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(f.reads) != 1 {
		t.Errorf("files were read %d times, want once", len(f.reads))
	}
	remote := *img
	remote.Local = false
	if got, err = images.Subject(t.Context(), "corp/app:v1", &remote); err != nil || got.Contents != nil || len(got.Steps[1].Gives) != 1 {
		t.Errorf("remote: %+v, %v", got, err)
	}
	damaged := image(&fakeFiles{err: errGone}, true, v1.ImageConfig{User: "app"})
	got, err = images.Subject(t.Context(), "corp/app:v1", damaged)
	if !errors.Is(err, errGone) || got.Contents != nil || got.User.Unknown == "" {
		t.Errorf("damaged: %+v, %v", got, err)
	}
}

func TestContents(t *testing.T) {
	const x, link = fs.FileMode(0o755), fs.ModeSymlink | 0o777
	f := known()
	f.files = []guard.File{
		{Path: "/usr/bin/sudo", Mode: x | fs.ModeSetuid},
		{Path: "/usr/bin/ping", Mode: x, Capabilities: "cap_net_raw"},
		{Path: "/usr/bin/data", Mode: 0o644 | fs.ModeSetuid},
		{Path: "/usr/share", Mode: fs.ModeDir | fs.ModeSetgid | 0o755},
		{Path: "/usr/bin/apt-get", Mode: x},
		{Path: "/opt/apt-get", Mode: x},
		{Path: "/usr/bin/yum", Mode: link, Link: "dnf-3"},
		{Path: "/bin/busybox", Mode: x, Size: 77},
		{Path: "/bin/nc", Mode: link, Link: "/bin/busybox"},
		{Path: "/bin/telnet", Mode: x, Size: 77},
		{Path: "/usr/bin/nmap", Mode: x, Size: 5},
		{Path: "/usr/bin/gcc", Mode: link, Link: "gcc-12"},
		{Path: "/usr/bin/socat", Mode: 0o644},
		{Path: "/usr/bin/mine", Mode: x, UID: 1234},
		{Path: "/usr/bin/group", Mode: 0o775, GID: 1234},
		{Path: "/usr/bin/groups", Mode: x, GID: 1234},
		{Path: "/usr/bin", Mode: fs.ModeDir | 0o777},
		{Path: "/srv/app/main.py", Mode: 0o644, UID: 1234},
		{Path: "/srv/app/data.db", Mode: 0o644, UID: 1234},
		{Path: "/srv/app/lib.py", Mode: 0o644},
		{Path: "/home/app/x.py", Mode: 0o644, UID: 1234},
		{Path: "/opt/open.sh", Mode: 0o666},
		{Path: "/tmp/open.sh", Mode: 0o777},
		{Path: "/start", Mode: 0o644, UID: 1234},
		{Path: "/srv/app/link.py", Mode: link, UID: 1234, Link: "x"},
	}
	img := image(f, true, v1.ImageConfig{User: "app", WorkingDir: "/srv/app", Entrypoint: []string{"/start"}})
	s, err := images.Subject(t.Context(), "corp/app:v1", img)
	if err != nil {
		t.Fatal(err)
	}
	paths := func(files []guard.File) []string {
		var all []string
		for _, f := range files {
			all = append(all, f.Path)
		}
		return all
	}
	got := map[string][]string{
		"setuid": paths(s.Contents.Setuid), "managers": s.Contents.Managers, "tools": s.Contents.Tools, "writable": paths(s.Contents.Writable),
	}
	want := map[string][]string{
		"setuid":   {"/usr/bin/ping", "/usr/bin/sudo"},
		"managers": {"/usr/bin/apt-get", "/usr/bin/yum"},
		"tools":    {"/usr/bin/gcc", "/usr/bin/nmap"},
		"writable": {"/opt/open.sh", "/srv/app/main.py", "/start", "/usr/bin", "/usr/bin/group", "/usr/bin/mine"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	img.Config.Config.User = ""
	if s, err = images.Subject(t.Context(), "corp/app:v1", img); err != nil || !slices.Equal(paths(s.Contents.Writable), []string{"/opt/open.sh", "/usr/bin"}) {
		t.Errorf("for root: %v, %v", paths(s.Contents.Writable), err)
	}
}

func TestContentsAreBounded(t *testing.T) {
	f := known()
	for range 5000 {
		f.files = append(f.files, guard.File{Path: "/usr/bin/nmap", Mode: 0o4777 | fs.ModeSetuid})
	}
	s, err := images.Subject(t.Context(), "x", image(f, true, v1.ImageConfig{User: "app"}))
	if err != nil || len(s.Contents.Setuid) != 1000 || len(s.Contents.Tools) != 1000 || len(s.Contents.Writable) != 1000 {
		t.Errorf("%d setuid, %d tools, %d writable, %v", len(s.Contents.Setuid), len(s.Contents.Tools), len(s.Contents.Writable), err)
	}
}
