package dockerfiles_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
)

// registry is where the tests' base images are.
type registry map[string]*guard.Image

func (r registry) Image(_ context.Context, name string) (*guard.Image, error) {
	if img, found := r[name]; found {
		return img, nil
	}
	return nil, errors.New("not in the store, and --offline")
}

// layers are the files of an image.
type layers map[string]string

func (l layers) Read(_ context.Context, paths ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, p := range paths {
		if content, ok := l[p]; ok {
			found[p] = []byte(content)
		}
	}
	return found, nil
}

func (l layers) Walk(_ context.Context, visit func(guard.File) error) error {
	for p, content := range l {
		if err := visit(guard.File{Path: p, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return err
		}
	}
	return nil
}

const (
	debianPasswd = "root:x:0:0:root:/root:/bin/bash\ngames:x:5:60:games:/usr/games:/usr/sbin/nologin\nwww-data:x:33:33::/var/www:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
	debianGroup  = "root:x:0:\naudio:x:29:\nwww-data:x:33:\nnogroup:x:65534:\n"
)

func image(config dockerspec.DockerOCIImageConfig, more layers) *guard.Image {
	files := layers{"/etc/passwd": debianPasswd, "/etc/group": debianGroup}
	maps.Copy(files, more)
	img := &guard.Image{From: "the store", Files: files, Local: true}
	img.Config.Config = config
	return img
}

func config(user string) (c dockerspec.DockerOCIImageConfig) {
	c.User = user
	c.Env = []string{"PATH=/usr/bin:/bin"}
	return c
}

// images are the base images that the tests know.
func images() registry {
	withEnv := config("")
	withEnv.Env = append(withEnv.Env, "APP_USER=www-data")
	triggers := config("")
	triggers.OnBuild = []string{"USER nobody", "EXPOSE 81"}
	rootTrigger := config("nobody")
	rootTrigger.OnBuild = []string{"USER root"}
	redis := config("")
	redis.Entrypoint = []string{"docker-entrypoint.sh"}
	redis.Cmd = []string{"redis-server"}
	redis.WorkingDir = "/data"
	redis.ExposedPorts = map[string]struct{}{"6379/tcp": {}}
	all := registry{
		"debian": image(config(""), nil), "plain@sha256:" + strings.Repeat("a", 64): image(config("33"), nil),
		"nonroot": image(config("1000"), nil), "named": image(config("www-data"), nil), "rooted": image(config("root"), nil),
		"zero": image(config("0:0"), nil), "withenv": image(withEnv, nil), "triggers": image(triggers, nil), "roottrigger": image(rootTrigger, nil),
		"toor": image(config("toor"), layers{"/etc/passwd": debianPasswd + "toor:x:0:0::/:/bin/sh\n"}),
		"redis": image(redis, layers{
			"/usr/bin/docker-entrypoint.sh": "#!/bin/sh\nset -e\nif [ \"$1\" = redis-server -a \"$(id -u)\" = 0 ]; then\n  exec gosu nobody \"$0\" \"$@\"\nfi\nexec \"$@\"\n",
		}),
	}
	for name, img := range all {
		img.Name = name
	}
	return all
}

// contextOf makes a build context with these files and returns the path of a Dockerfile in it.
func contextOf(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "Dockerfile")
}

func load(t testing.TB, src guard.Source, env guard.Env) *guard.Subject {
	t.Helper()
	subjects, err := dockerfiles.Load(t.Context(), src, env)
	if err != nil || len(subjects) != 1 {
		t.Fatalf("Load: %d subjects, %v", len(subjects), err)
	}
	return subjects[0]
}

// text loads a Dockerfile without a build context.
func text(t testing.TB, source string) *guard.Subject {
	t.Helper()
	return load(t, guard.Source{Path: "-", Data: []byte(source)}, guard.Env{Images: images()})
}

func span(l guard.Location) string {
	return fmt.Sprintf("%d:%d-%d:%d", l.Line, l.Column, l.EndLine, l.EndColumn)
}

// slice is the part of a source at a location.
func slice(t testing.TB, source string, l guard.Location) string {
	t.Helper()
	start, ok := guard.Offset([]byte(source), l.Line, l.Column)
	end, okEnd := guard.Offset([]byte(source), l.EndLine, l.EndColumn)
	if !ok || !okEnd || end < start {
		t.Fatalf("there is no %s in %q", span(l), source)
	}
	return source[start:end]
}
