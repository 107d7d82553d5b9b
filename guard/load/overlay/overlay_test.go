package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/overlay"
)

// store has one image, app, with a user of that name.
type store struct{}

func (store) Image(_ context.Context, name string) (*guard.Image, error) {
	if name != "app" {
		return nil, errors.New("there is none")
	}
	img := &guard.Image{Name: name, Files: files{}, Local: true}
	img.Config.Config.User = "app"
	img.Config.Config.Entrypoint = []string{"/entry"}
	img.Config.Config.Cmd = []string{"serve"}
	return img, nil
}

type files struct{}

func (files) Read(_ context.Context, paths ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, p := range paths {
		if p == "/etc/passwd" {
			found[p] = []byte("root:x:0:0::/root:/bin/sh\napp:x:1234:56::/:/bin/sh\n")
		}
	}
	return found, nil
}

func (files) Walk(context.Context, func(guard.File) error) error { return nil }

func TestUser(t *testing.T) {
	tests := map[string]struct {
		env        guard.Env
		image, set string
		want       string
	}{
		"the image's":             {guard.Env{Images: store{}}, "app", "", `"app" 1234:56 inherited=true unknown=""`},
		"replaced by number":      {guard.Env{Images: store{}}, "app", "7", `"7" 7:0 inherited=false unknown=""`},
		"replaced by name":        {guard.Env{Images: store{}}, "app", "root", `"root" 0:0 inherited=false unknown=""`},
		"not found":               {guard.Env{Images: store{}}, "other", "", `"" unknown:unknown inherited=true unknown="image other is not known: there is none"`},
		"not found, and replaced": {guard.Env{Images: store{}}, "other", "7", `"7" 7:unknown inherited=false unknown=""`},
		"nobody looks":            {guard.Env{}, "app", "", `"" unknown:unknown inherited=true unknown="image app is not known: nobody looks for images"`},
		"no image":                {guard.Env{}, "", "", `"" unknown:unknown inherited=true unknown="it names no image"`},
		"template":                {guard.Env{Images: store{}}, "{{ .x }}", "", `"" unknown:unknown inherited=true unknown="image {{ .x }} is a template"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			img := overlay.Find(t.Context(), tt.env, tt.image)
			u := img.Own(t.Context())
			if tt.set != "" {
				u = img.Replaced(t.Context(), tt.set)
			}
			got := fmt.Sprintf("%q %s:%s inherited=%v unknown=%q", u.Spec, u.UID, u.GID, u.Inherited, u.Unknown)
			if got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}

func TestStart(t *testing.T) {
	root, somebody := guard.User{}, guard.User{UID: guard.Exactly(7)}
	tests := map[string]struct {
		image               string
		user                guard.User
		entrypoint, command []string
		args                []string
		shell               bool
		drop                string
	}{
		"the image's":                {"app", root, nil, nil, []string{"/entry", "serve"}, false, ""},
		"command":                    {"app", root, nil, []string{"x"}, []string{"/entry", "x"}, false, ""},
		"entrypoint":                 {"app", root, []string{"/y"}, nil, []string{"/y"}, false, ""},
		"both":                       {"app", root, []string{"/y"}, []string{"x"}, []string{"/y", "x"}, false, ""},
		"unknown image":              {"other", root, nil, nil, nil, false, ""},
		"unknown image, command":     {"other", root, nil, []string{"gosu", "7", "x"}, []string{"gosu", "7", "x"}, false, "gosu"},
		"drops":                      {"app", root, []string{"gosu", "app", "x"}, nil, []string{"gosu", "app", "x"}, false, "gosu"},
		"nothing to drop":            {"app", somebody, []string{"gosu", "app", "x"}, nil, []string{"gosu", "app", "x"}, false, ""},
		"shell":                      {"app", root, []string{"/bin/sh", "-c", "exec su-exec app x"}, nil, []string{"/bin/sh", "-c", "exec su-exec app x"}, true, "su-exec"},
		"an option that is no shell": {"app", root, []string{"x", "-c", "y"}, nil, []string{"x", "-c", "y"}, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			img := overlay.Find(t.Context(), guard.Env{Images: store{}}, tt.image)
			command, drop := img.Start(t.Context(), tt.user, tt.entrypoint, tt.command)
			if diff := cmp.Diff(guard.Command{Args: tt.args, Shell: tt.shell}, command); diff != "" {
				t.Error(diff)
			}
			got := ""
			if drop != nil {
				got = drop.By
			}
			if got != tt.drop {
				t.Errorf("dropped by %q, want %q", got, tt.drop)
			}
		})
	}
}
