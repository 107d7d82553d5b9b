package build

import (
	"context"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"
)

// fakeClient answers for images with one config; everything else is ours.
type fakeClient struct{ *gateway }

// ResolveImageConfig knows every image.
func (fakeClient) ResolveImageConfig(_ context.Context, name string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) { //nolint:revive // BuildKit's interface
	cfg := []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"OnBuild":["RUN onbuild"]},` +
		`"rootfs":{"type":"layers","diff_ids":["` + digest.FromString("x").String() + `"]}}`)
	return name, digest.FromBytes(cfg), cfg, nil
}

type quietProgress struct{}

// Start shows nothing.
func (quietProgress) Start(string) Step { return noStep{} }

// FuzzDockerfile sends random Dockerfiles through the front end, our client and the graph, keys included, and
// never runs anything: whatever they are, they give a graph or an error.
func FuzzDockerfile(f *testing.F) {
	for _, s := range []string{
		"FROM scratch\nCOPY a /b\n",
		"FROM x AS y\nRUN --mount=type=cache,target=/c,uid=1 --mount=type=bind,target=/b,rw true\nFROM y\nCOPY --link --from=y --chown=u:g --chmod=u+x --exclude=*.o a* /b/\n",
		"ARG V=1\nFROM x:${V}\nCOPY <<E /f\nhi\nE\nRUN <<E\n#!/bin/sh\ntrue\nE\nWORKDIR r\nUSER a:b\nADD --chown=1 t.tar /\nHEALTHCHECK CMD true\nSHELL [\"a\"]\n",
		"FROM x\nCOPY --parents a/./b/*.c /d\nONBUILD RUN x\nRUN --mount=type=secret,id=s --mount=type=ssh --network=none --security=insecure y\nADD http://h/x /\nADD git@h:x.git /\n",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		o := Options{DockerfileData: data}
		s := &solver{
			b:    &Builder{Progress: quietProgress{}, Log: slog.New(slog.DiscardHandler), Now: time.Now},
			opts: o, locals: map[string]string{localContext: dir}, files: map[string]*digestFile{},
			stage: &stage{tmp: func() (string, error) { return dir, nil }},
		}
		g := &gateway{s: s, opts: frontendOpts(o), now: time.Now}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		res, err := dockerfile.Build(ctx, fakeClient{g})
		if err != nil {
			_ = s.explain(ctx, err, o)
			return
		}
		r, ok := res.Ref.(*reference)
		if !ok {
			return
		}
		v, _, err := s.graph.load(r.def)
		if err != nil {
			t.Fatalf("the front end made a graph we do not read: %v", err)
		}
		visit(t, v, map[*vertex]bool{})
		_, _ = rootCause(data, o)
	})
}

// FuzzIgnore compares what .dockerignore leaves of a tree with what the filter of BuildKit's own file transfer
// leaves.
func FuzzIgnore(f *testing.F) {
	for _, s := range []string{
		"*\n!a/b/c\n", "**/c\n", "a\n!a/b\nd?\n", "# x\n/a/b\n!**/c\n", "**\n!d1/**/e\n", "a/*/c\n", "[ab]\n!b/x\n", ".*\n", "**/*.o\n!keep.o\n",
	} {
		f.Add(s)
	}
	dir := f.TempDir()
	for _, p := range []string{"a/b/c", "a/b/d", "a/x", "b/x", "b/c/c", "d1/x/e", "d1/y", "d2/e", "keep.o", "a/n.o", ".hidden/f", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, ignore string) {
		patterns, err := ignorefile.ReadAll(strings.NewReader(ignore))
		if err != nil || len(patterns) > 8 || len(ignore) > 200 {
			return
		}
		fs, err := fsutil.NewFS(dir)
		if err != nil {
			t.Fatal(err)
		}
		filtered, err := fsutil.NewFilterFS(fs, &fsutil.FilterOpt{ExcludePatterns: patterns})
		tr, terr := newTree(dir, patterns)
		if (err == nil) != (terr == nil) {
			t.Fatalf("%q: error %v, want %v", patterns, terr, err)
		}
		if err != nil {
			return
		}
		var want, got []string
		werr := filtered.Walk(t.Context(), "", func(p string, d iofs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				want = append(want, p)
			}
			return err
		})
		entries, _, gerr := tr.walk(t.Context(), ".")
		if (werr == nil) != (gerr == nil) {
			t.Fatalf("%q: error %v, want %v", patterns, gerr, werr)
		}
		for _, e := range entries {
			if !e.info.IsDir() {
				got = append(got, e.path)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if werr == nil && !slices.Equal(want, got) {
			t.Errorf("%q leaves\n%q\nwant\n%q", patterns, got, want)
		}
	})
}

// visit makes the key of everything below v.
func visit(t *testing.T, v *vertex, seen map[*vertex]bool) {
	t.Helper()
	if v == nil || seen[v] {
		return
	}
	seen[v] = true
	for _, in := range v.inputs {
		visit(t, in, seen)
	}
	_ = selectors(v.op)
	if e := v.op.GetExec(); e != nil {
		_ = checkExec(e)
	}
	if _, err := opKey(v.op, make([]string, len(v.inputs))); err != nil {
		t.Fatal(err)
	}
}
