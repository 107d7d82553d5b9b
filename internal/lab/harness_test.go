package lab

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/transcript"
	"github.com/deckhand-engine/deckhand/ref"
)

// The programs are built, and what is left behind on the machine is noticed.
func TestMain(m *testing.M) {
	if root := os.Getenv(killedRoot); root != "" {
		buildUntilKilled(root)
		return
	}
	transcript.Main(m)
}

// bench is a store with images of the small root filesystem.
type bench struct {
	t      *testing.T
	engine *engine.Engine
}

func newBench(t *testing.T) *bench {
	t.Helper()
	need.Root(t)
	if runtime.NeedsLoader {
		t.Fatal("checks are run in containers by this test's own program: CGO_ENABLED=0 go test, as make does")
	}
	s, err := store.Open(filepath.Join(t.TempDir(), "data"), store.Options{Rootless: rootless.Inside()})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, &engine.Engine{Store: s, Rootless: rootless.Inside()}}
	t.Cleanup(b.checkEmpty)
	return b
}

// checkEmpty requires that no trial left anything.
func (b *bench) checkEmpty() {
	root := b.engine.Store.Root()
	for _, dir := range []string{"containers", "live", "names", "tmp"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.t.Error(err)
		}
		for _, e := range entries {
			b.t.Errorf("left behind: %s/%s", dir, e.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), root) {
		b.t.Errorf("left mounted: %v\n%s", err, mounts)
	}
}

// image makes an image, dangling, and returns its id.
func (b *bench) image(change func(*dockerspec.DockerOCIImageConfig)) string {
	b.t.Helper()
	return b.named("", change)
}

// named makes an image with a name.
func (b *bench) named(name string, change func(*dockerspec.DockerOCIImageConfig)) string {
	b.t.Helper()
	f, err := os.Open(transcript.Base(b.t, "small"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	var config dockerspec.DockerOCIImage
	config.Config.Env = []string{"PATH=/bin:/usr/bin:/sbin:/usr/sbin"}
	if change != nil {
		change(&config.Config)
	}
	s := b.engine.Store
	img, err := s.Import(b.t.Context(), f, config)
	if err != nil {
		b.t.Fatal(err)
	}
	if name == "" {
		err = s.KeepUntagged(b.t.Context(), img.Target)
	} else {
		err = tag(b, name, img.Target)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return img.ID.String()
}

// shell makes an image whose command is a shell's.
func (b *bench) shell(script string) string {
	b.t.Helper()
	return b.image(func(c *dockerspec.DockerOCIImageConfig) { c.Cmd = []string{"/bin/sh", "-c", script} })
}

// lab opens a lab with this bench's engine and the programs in PATH; it is closed at the end.
func (b *bench) lab(o Options) *Lab {
	b.t.Helper()
	o.Engine = b.engine
	for name, path := range map[string]*string{
		"deckhand": &o.Programs.Deckhand, "deckhand-build": &o.Programs.Build, "deckhand-probe": &o.Programs.Probe,
	} {
		p, err := exec.LookPath(name)
		if err != nil {
			b.t.Fatal(err)
		}
		*path = p
	}
	l, err := New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := l.Close(b.t.Context()); err != nil {
			b.t.Error(err)
		}
	})
	return l
}

// tag names an image.
func tag(b *bench, name string, d v1.Descriptor) error {
	r, err := ref.Parse(name)
	if err != nil {
		return err
	}
	return b.engine.Store.Tag(b.t.Context(), r, d)
}
