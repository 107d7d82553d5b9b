package check_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// truth is a text, or the name of an image, and everything that is found in it: "LINE:RULE" each, ordered by place.
// Whatever else is found is a false alarm, and fails. Files behind a "-- NAME --" lie beside the text.
type truth struct {
	name, text, want string
}

// truths are cases of one kind of document.
type truths struct {
	kind   guard.Kind
	file   string // the text's name
	policy policy.Policy
	cases  []truth
}

func (tt truths) run(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range tt.cases {
		if seen[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			doc := tt.check(t, c)
			if doc.Err != nil {
				t.Fatal(doc.Err)
			}
			if diff := cmp.Diff(c.want, foundIn(doc)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, details(doc))
			}
			applyFixes(t, doc)
		})
	}
}

func (tt truths) check(t *testing.T, c truth) *guard.Document {
	t.Helper()
	checker := &check.Checker{Texts: load.Texts{}, Env: guard.Env{Images: fakeImages{}}, Policy: &tt.policy}
	if tt.kind == guard.KindImage {
		return checker.Image(t.Context(), c.text)
	}
	archive := txtar.Parse([]byte(strings.TrimPrefix(c.text, "\n")))
	src := guard.Source{Path: tt.file, Data: archive.Comment}
	if len(archive.Files) > 0 {
		dir := t.TempDir()
		src.File = filepath.Join(dir, tt.file)
		src.Path = src.File
		for _, f := range append(archive.Files, txtar.File{Name: tt.file, Data: archive.Comment}) {
			name := filepath.Join(dir, filepath.FromSlash(f.Name))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return checker.Text(t.Context(), src, tt.kind)
}

// foundIn lists findings as truths have them; those of images have no line.
func foundIn(doc *guard.Document) string {
	var found []string
	for _, f := range doc.Findings {
		entry := f.Rule
		if f.Where.Line > 0 {
			entry = fmt.Sprintf("%d:%s", f.Where.Line, f.Rule)
		}
		if len(found) == 0 || found[len(found)-1] != entry {
			found = append(found, entry)
		}
	}
	return strings.Join(found, " ")
}

func details(doc *guard.Document) string {
	var b strings.Builder
	for _, f := range doc.Findings {
		fmt.Fprintf(&b, "%s %s %s: %s\n\t%s\n", f.Where, f.Severity, f.Rule, f.Message, f.Detail)
	}
	return b.String()
}

// applyFixes makes every fix, and checks that one of the start user really removes its finding.
func applyFixes(t *testing.T, doc *guard.Document) {
	t.Helper()
	for _, f := range doc.Findings {
		for _, fix := range f.Fixes {
			fixed, err := guard.Apply(doc.Source, fix.Edits)
			if err != nil {
				t.Errorf("%s: fix %q: %v", f.Rule, fix.Title, err)
				continue
			}
			c := &check.Checker{Texts: load.Texts{}, Env: guard.Env{Images: fakeImages{}}}
			again := c.Text(t.Context(), guard.Source{Path: doc.Path, File: fileOf(doc), Data: fixed}, doc.Kind)
			for _, left := range again.Findings {
				if left.Rule == f.Rule && left.Subject == f.Subject || left.Rule == "DH000" {
					t.Errorf("%s: fix %q leaves %s: %s in\n%s", f.Rule, fix.Title, left.Rule, left.Message, fixed)
				}
			}
		}
	}
}

func fileOf(doc *guard.Document) string {
	if filepath.IsAbs(doc.Path) {
		return doc.Path
	}
	return ""
}

// fakeImage is an image: its configuration and those of its files that matter.
type fakeImage struct {
	user       string
	entrypoint []string
	cmd        []string
	env        []string
	ports      []string
	onBuild    []string
	files      map[string]string
	modes      map[string]fs.FileMode // of files that have others than 0644
	local      bool
}

// fakeImages know the images of the cases; registry.example.com cannot be reached.
type fakeImages struct{}

func (fakeImages) Image(_ context.Context, name string) (*guard.Image, error) {
	short := strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
	short = strings.TrimSuffix(short, ":latest")
	f, ok := knownImages()[short]
	if !ok {
		return nil, fmt.Errorf("it is not on this machine, and its registry was not asked")
	}
	img := &guard.Image{Name: name, From: "a test", Local: f.local, Files: fakeFiles{f}}
	img.Config.Config = dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{User: f.user, Entrypoint: f.entrypoint, Cmd: f.cmd, Env: f.env, ExposedPorts: map[string]struct{}{}},
	}
	img.Config.Config.OnBuild = f.onBuild
	for _, p := range f.ports {
		img.Config.Config.ExposedPorts[p] = struct{}{}
	}
	return img, nil
}

type fakeFiles struct{ fakeImage }

func (f fakeFiles) Read(_ context.Context, paths ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, p := range paths {
		if text, ok := f.files[p]; ok {
			found[p] = []byte(text)
		}
	}
	return found, nil
}

func (f fakeFiles) Walk(_ context.Context, visit func(guard.File) error) error {
	for p, text := range f.files {
		mode := fs.FileMode(0o644)
		if m, ok := f.modes[p]; ok {
			mode = m
		}
		if err := visit(guard.File{Path: p, Mode: mode, Size: int64(len(text))}); err != nil {
			return err
		}
	}
	return nil
}

// accounts are an image's passwd and group files: those of a distribution, and more users with groups of their own.
func accounts(more ...string) map[string]string {
	passwd := "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n" +
		"www-data:x:33:33::/var/www:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
	group := "root:x:0:\ndaemon:x:1:\naudio:x:29:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"
	for _, m := range more {
		name, id, _ := strings.Cut(m, ":")
		passwd += fmt.Sprintf("%s:x:%s:%s::/home/%s:/bin/sh\n", name, id, id, name)
		group += fmt.Sprintf("%s:x:%s:\n", name, id)
	}
	return map[string]string{"/etc/passwd": passwd, "/etc/group": group}
}

func withScript(files map[string]string, path, script string) map[string]string {
	files[path] = script
	return files
}

// redisScript drops root whenever it starts the service; anything else stays what it was started as.
const redisScript = `#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi
if [ "$1" = 'redis-server' -a "$(id -u)" = '0' ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec gosu redis "$0" "$@"
fi
exec "$@"
`

// nodeScript starts node with what is no program.
const nodeScript = `#!/bin/sh
set -e
if [ "${1#-}" != "${1}" ] || [ -z "$(command -v "${1}")" ]; then
	set -- node "$@"
fi
exec "$@"
`

func knownImages() map[string]fakeImage {
	alpine := map[string]string{
		"/etc/passwd":         "root:x:0:0:root:/root:/bin/sh\nguest:x:405:100::/:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n",
		"/etc/group":          "root:x:0:\nping:x:999:\nusers:x:100:\nnogroup:x:65533:\nnobody:x:65534:\n",
		"/etc/alpine-release": "3.21.0\n",
	}
	always := "#!/bin/sh\nset -e\nchown -R app /data\nexec su-exec app \"$@\"\n"
	return map[string]fakeImage{
		"debian:12":   {files: accounts(), cmd: []string{"bash"}, local: true},
		"alpine:3.21": {files: alpine, cmd: []string{"/bin/sh"}, local: true},
		"golang:1.26": {files: accounts(), env: []string{"PATH=/usr/local/go/bin:/usr/bin:/bin"}},
		"node:22":     {files: withScript(accounts("node:1000"), "/usr/local/bin/docker-entrypoint.sh", nodeScript), entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"node"}, local: true},
		"nginxinc/nginx-unprivileged:1.27": {
			user: "101", files: accounts("nginx:101"), ports: []string{"8080/tcp"}, cmd: []string{"nginx", "-g", "daemon off;"},
		},
		"gcr.io/distroless/static-debian12:nonroot": {user: "65532", files: accounts("nonroot:65532")},
		"mcr.microsoft.com/dotnet/aspnet:9.0":       {files: accounts("app:1654"), env: []string{"APP_UID=1654"}},
		"redis:7": {
			files:      withScript(accounts("redis:999"), "/usr/local/bin/docker-entrypoint.sh", redisScript),
			entrypoint: []string{"docker-entrypoint.sh"}, cmd: []string{"redis-server"}, ports: []string{"6379/tcp"}, local: true,
			env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		"corp/always:1":               {files: withScript(accounts("app:1000"), "/entrypoint.sh", always), entrypoint: []string{"/entrypoint.sh"}, cmd: []string{"server"}, local: true},
		"corp/app:1":                  {files: accounts("app:1000"), local: true},
		"corp/zero:1":                 {user: "0", files: accounts()},
		"corp/root:1":                 {user: "root", files: accounts()},
		"corp/toor:1":                 {user: "toor", files: accounts("toor:0")},
		"corp/admins:1":               {files: accounts("toor:0", "app:1000", "admin:1000"), local: true},
		"corp/web:1":                  {user: "www-data", files: accounts()},
		"corp/onbuild:1":              {files: accounts(), onBuild: []string{"USER 1000:1000"}},
		"registry.example.com/shop:1": {user: "app", files: accounts("app:1000"), ports: []string{"8080/tcp"}},
		"corp/fat:1": {
			user: "1000", local: true, cmd: []string{"/app/server"},
			files: map[string]string{
				"/etc/passwd": accounts("app:1000")["/etc/passwd"], "/etc/group": accounts("app:1000")["/etc/group"],
				"/usr/bin/sudo": "x", "/usr/bin/passwd": "x", "/usr/bin/apt-get": "x", "/usr/bin/nmap": "x", "/app/server": "x",
			},
			modes: map[string]fs.FileMode{
				"/usr/bin/sudo": 0o755 | fs.ModeSetuid, "/usr/bin/passwd": 0o755 | fs.ModeSetuid, "/usr/bin/apt-get": 0o755,
				"/usr/bin/nmap": 0o755, "/app/server": 0o777,
			},
		},
		"corp/slim:1": {user: "1000:1000", files: accounts("app:1000"), cmd: []string{"/app/server"}, local: true},
	}
}
