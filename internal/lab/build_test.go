package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// killedRoot names the store in which a child of TestBuildKilled builds until it is killed.
const killedRoot = "LAB_TEST_KILLED_ROOT"

// serving is a Dockerfile of an image that serves.
func serving(b *bench) []byte {
	b.t.Helper()
	b.named("base:1", nil)
	return fmt.Appendf(nil, "FROM base:1\nCMD %s\n", strings.ReplaceAll(served, "\n", " "))
}

func (b *bench) build(l *Lab, dockerfile []byte) string {
	b.t.Helper()
	id, err := l.Build(b.t.Context(), dockerfile)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// listed are the ids of the images that a user sees, but for the base.
func (b *bench) listed() []string {
	b.t.Helper()
	images, err := b.engine.Store.Images(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, img := range images {
		if img.Name() != "base:1" {
			ids = append(ids, img.ID.String())
		}
	}
	return ids
}

func (b *bench) mustBeGone(id string) {
	b.t.Helper()
	if _, ok := b.engine.Store.HasBlob(digest.Digest(id)); ok || slices.Contains(b.listed(), id) {
		b.t.Errorf("the image of the trials is still there: %s", id)
	}
}

// One of two labs of the same Dockerfile is closed while the other one is at work.
func TestTwoLabsOfOneDockerfile(t *testing.T) {
	for name, inTrial := range map[string]bool{"in a trial": true, "between trials": false} {
		t.Run(name, func(t *testing.T) { closeOneOfTwo(t, inTrial) })
	}
}

func closeOneOfTwo(t *testing.T, inTrial bool) {
	b := newBench(t)
	dockerfile := serving(b)
	dir := t.TempDir()
	first := b.lab(Options{Context: dir})
	second := b.lab(Options{
		Context: dir, Env: append(os.Environ(), "DIR="+dir),
		CheckHost: `touch "$DIR/started"; until test -e "$DIR/closed"; do sleep 0.01; done`,
	})
	id := b.build(first, dockerfile)
	if other := b.build(second, dockerfile); other != id {
		t.Fatalf("the build cache has %s for the one and %s for the other", id, other)
	}
	tried := make(chan struct{})
	try := func() {
		defer close(tried)
		got, err := second.Try(t.Context(), harden.Trial{Image: id})
		if err != nil || !got.Passed {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if inTrial {
		go try()
		awaitFile(filepath.Join(dir, "started"), tried)
	}
	if err := errors.Join(first.Close(t.Context()), os.WriteFile(filepath.Join(dir, "closed"), nil, 0o600)); err != nil {
		t.Error(err)
	}
	if !inTrial {
		go try()
	}
	<-tried
	if _, err := second.Image(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.mustBeGone(id)
}

// awaitFile returns when a file is there, or nobody is left who would make it.
func awaitFile(path string, ended <-chan struct{}) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(firstPause):
		}
	}
}

// What a user built, or has named since, stays; what a lab has, nobody else sees.
func TestBuildLeavesTheUsers(t *testing.T) {
	b := newBench(t)
	dockerfile := serving(b)
	l := b.lab(Options{Context: t.TempDir()})
	named := b.build(l, dockerfile)
	if got := b.listed(); len(got) > 0 {
		t.Errorf("images of trials are listed: %v", got)
	}
	img, err := l.o.Engine.Store.Image(t.Context(), named)
	if err == nil {
		err = tag(b, "app:1", img.Target)
	}
	if err != nil {
		t.Fatal(err)
	}
	own := append(dockerfile, "LABEL of=mine\n"...)
	path := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(path, own, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), l.o.Programs.Build, "--data-root", b.engine.Store.Root(), "-f", path, l.o.Context)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dangling := b.build(l, own)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, want := b.listed(), []string{named, dangling}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	for _, id := range want {
		if out, err := b.lab(Options{}).Try(t.Context(), harden.Trial{Image: id}); err != nil || !out.Passed {
			t.Errorf("got %+v, %v", out, err)
		}
	}
}

// kill -9 leaves images that nobody sees, and that are gone with the next lab.
func TestBuildKilled(t *testing.T) {
	b := newBench(t)
	dockerfile := serving(b)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), dockerfile, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), killedRoot+"="+b.engine.Store.Root()), dir, os.Stderr
	_, inErr := cmd.StdinPipe()
	out, err := cmd.StdoutPipe()
	if err = errors.Join(inErr, err); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill() // that it lives is what Wait says
	if err := cmd.Wait(); readErr != nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child says %q, %v, and ends with %v", line, readErr, err)
	}
	id := strings.TrimSpace(line)
	if got := b.listed(); len(got) > 0 {
		t.Errorf("images of trials are listed: %v", got)
	}

	if b.engine.Store, err = store.Open(b.engine.Store.Root(), store.Options{}); err != nil {
		t.Fatal(err)
	}
	next := b.lab(Options{Context: dir})
	other := b.build(next, append(dockerfile, "LABEL of=another\n"...))
	if err := next.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.mustBeGone(id)
	b.mustBeGone(other)
}

// buildUntilKilled builds the Dockerfile of this directory, prints the image's id, and never closes the lab.
func buildUntilKilled(root string) {
	dockerfile, err := os.ReadFile("Dockerfile")
	o := Options{Engine: &engine.Engine{}, Context: "."}
	if err == nil {
		o.Engine.Store, err = store.Open(root, store.Options{})
	}
	if err == nil {
		o.Programs.Build, err = exec.LookPath("deckhand-build")
	}
	var l *Lab
	if err == nil {
		l, err = New(o)
	}
	var id string
	if err == nil {
		id, err = l.Build(context.Background(), dockerfile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(id)
	_, _ = io.Copy(io.Discard, os.Stdin) // which ends with the test
}
