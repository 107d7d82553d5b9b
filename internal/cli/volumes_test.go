package cli

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

func TestParseVolume(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bind := func(source, dest string, opts ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: source, Destination: dest, Options: append([]string{"rbind", "idmap"}, opts...)}
	}
	tests := map[string]struct {
		in   string
		want specs.Mount
		err  string
	}{
		"plain":               {in: "/a:/b", want: bind("/a", "/b", "rprivate")},
		"read-only":           {in: "/a:/b:ro", want: bind("/a", "/b", "ro", "rprivate")},
		"several modes":       {in: "/a:/b:ro,z,rslave", want: bind("/a", "/b", "ro", "rslave")},
		"cleaned":             {in: "/a/../c/:/b/./d/", want: bind("/c", "/b/d", "rprivate")},
		"relative":            {in: "./a:/b", want: bind(filepath.Join(wd, "a"), "/b", "rprivate")},
		"this directory":      {in: ".:/b", want: bind(wd, "/b", "rprivate")},
		"the one above":       {in: "..:/b", want: bind(filepath.Dir(wd), "/b", "rprivate")},
		"anonymous":           {in: "/b", want: specs.Mount{Destination: "/b"}},
		"named":               {in: "data:/b", want: specs.Mount{Type: "volume", Source: "data", Destination: "/b", Options: []string{"rbind", "idmap", "rprivate"}}},
		"named, not filled":   {in: "data:/b:ro,nocopy", want: specs.Mount{Type: "volume", Source: "data", Destination: "/b", Options: []string{"rbind", "idmap", "ro", "nocopy", "rprivate"}}},
		"a host's not filled": {in: "/a:/b:nocopy", want: bind("/a", "/b", "rprivate")},
		"named, propagating":  {in: "data:/b:rslave", err: "invalid volume specification: 'data:/b:rslave': invalid mode: rslave is for directories of the host"},
		"named, without dest": {in: "data", err: "invalid volume specification: 'data': invalid mount path: 'data' mount path must be absolute"},
		"hidden directory":    {in: ".a:/b", err: `create .a: ".a" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`},
		"long name":           {in: strings.Repeat("a", 201) + ":/b", err: "create " + strings.Repeat("a", 201) + `: "` + strings.Repeat("a", 201) + `" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`},
		"short name":          {in: "d:/b", err: "volume name is too short, names should be at least two alphanumeric characters"},
		"path without a dot":  {in: "da/ta:/b", err: `create da/ta: "da/ta" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`},
		"relative target":     {in: "/a:b", err: "invalid volume specification: '/a:b': invalid mount path: 'b' mount path must be absolute"},
		"target is the root":  {in: "/a:/", err: "invalid volume specification: '/a:/': invalid specification: destination can't be '/'"},
		"root in disguise":    {in: "/a:/b/..", err: "invalid volume specification: '/a:/b/..': invalid specification: destination can't be '/'"},
		"unknown mode":        {in: "/a:/b:rx", err: "invalid volume specification: '/a:/b:rx': invalid mode: rx"},
		"too many parts":      {in: "/a:/b:ro:x", err: "invalid volume specification: '/a:/b:ro:x'"},
		"empty":               {in: "", err: "invalid volume specification: '': empty section between colons"},
		"empty part":          {in: ":/b", err: "invalid volume specification: ':/b': empty section between colons"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseVolume(tt.in)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseVolume(f *testing.F) {
	for _, s := range []string{
		"/a:/b", "/a:/b:ro", "a:/b", ":", "/a:/b/../..", "/a:/b:ro,,z", "data:/b", "data:/b:nocopy,ro", "data:/b:rslave",
		"..:/b", "../:/b", "da/ta:/b", "./data:/b", "data:/b:\x00", "d.-_:/b//c/", "/:/b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseVolume(s)
		if err != nil {
			return
		}
		if !path.IsAbs(m.Destination) || m.Destination == "/" || path.Clean(m.Destination) != m.Destination {
			t.Errorf("%q: destination %q", s, m.Destination)
		}
		switch m.Type {
		case "":
			if m.Source != "" {
				t.Errorf("%q: source %q of an anonymous volume", s, m.Source)
			}
		case typeVolume:
			if err := store.CheckVolumeName(m.Source); err != nil || strings.ContainsAny(m.Source, "/\x00") || m.Source == ".." {
				t.Errorf("%q: source %q: %v", s, m.Source, err)
			}
			if slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasSuffix(o, "slave") }) {
				t.Errorf("%q: options %q", s, m.Options)
			}
		default:
			if !filepath.IsAbs(m.Source) || filepath.Clean(m.Source) != m.Source || slices.Contains(m.Options, noCopy) {
				t.Errorf("%q: source %q, options %q", s, m.Source, m.Options)
			}
		}
	})
}

func TestParseTmpfs(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
		err  string
	}{
		"plain":        {in: "/t", want: []string{"noexec", "nosuid", "nodev"}},
		"options":      {in: "/t:size=1m,mode=1777", want: []string{"noexec", "nosuid", "nodev", "size=1m", "mode=1777"}},
		"exec":         {in: "/t:exec,size=1m", want: []string{"nosuid", "nodev", "exec", "size=1m"}},
		"relative":     {in: "t", err: `invalid tmpfs "t": an absolute path below / is needed`},
		"root":         {in: "/", err: `invalid tmpfs "/": an absolute path below / is needed`},
		"unknown":      {in: "/t:huge=always", err: `invalid tmpfs option "huge=always"`},
		"needs value":  {in: "/t:size", err: `invalid tmpfs option "size"`},
		"has no value": {in: "/t:exec=1", err: `invalid tmpfs option "exec=1"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseTmpfs(tt.in)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, got.Options); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestMounts(t *testing.T) {
	dir := t.TempDir()
	image := map[string]struct{}{"/data": {}, "/var/lib/x/": {}, "/": {}}
	tests := map[string]struct {
		opts        runOptions
		wantVolumes []string
		wantNamed   []engine.NamedVolume
		wantMounts  int
		err         string
	}{
		"image volumes on a writable root":  {},
		"image volumes on a read-only root": {opts: runOptions{readOnly: true}, wantVolumes: []string{"/data", "/var/lib/x"}},
		"one is mounted over":               {opts: runOptions{readOnly: true, volumes: []string{dir + ":/data"}}, wantVolumes: []string{"/var/lib/x"}, wantMounts: 1},
		"a tmpfs over it":                   {opts: runOptions{readOnly: true, tmpfs: []string{"/data"}}, wantVolumes: []string{"/var/lib/x"}, wantMounts: 1},
		"anonymous":                         {opts: runOptions{volumes: []string{"/x"}}, wantVolumes: []string{"/x"}},
		"over the image's by name":          {opts: runOptions{readOnly: true, volumes: []string{"data:/data:ro", "more:/more:nocopy"}}, wantVolumes: []string{"/var/lib/x"}, wantNamed: []engine.NamedVolume{{Name: "data", Path: "/data", ReadOnly: true}, {Name: "more", Path: "/more", NoCopy: true}}},
		"named and anonymous":               {opts: runOptions{volumes: []string{"data:/x", "/x"}}, err: "duplicate mount point: /x"},
		"twice":                             {opts: runOptions{volumes: []string{dir + ":/x", "/x"}}, err: "duplicate mount point: /x"},
		"volume and tmpfs":                  {opts: runOptions{volumes: []string{"/x"}, tmpfs: []string{"/x/"}}, err: "duplicate mount point: /x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var cfg engine.Config
			err := tt.opts.mounts(&cfg, image)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.wantVolumes, cfg.Volumes); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.wantNamed, cfg.Named); diff != "" {
				t.Error(diff)
			}
			if len(cfg.Spec.Mounts) != tt.wantMounts {
				t.Errorf("mounts %v", cfg.Spec.Mounts)
			}
		})
	}
}

// -v makes a missing directory on the host, as docker does, but not before the container is accepted.
func TestMountsMakesSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	var cfg engine.Config
	if err := (&runOptions{volumes: []string{dir + ":/x"}}).mounts(&cfg, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("made too early: %v", err)
	}
	if err := makeSources(cfg.Spec.Mounts); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		t.Errorf("%v, %v", st, err)
	}
}
