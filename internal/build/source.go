package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	dref "github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// The front end's names of the two directories it reads from.
const (
	localContext    = "context"
	localDockerfile = "dockerfile"
)

// setLocals finds the build contexts; without one there is an empty directory.
func (s *solver) setLocals(ctx context.Context, o Options) error {
	dir := o.ContextDir
	if dir == "" {
		var err error
		if dir, err = s.stage.newDir("context-"); err != nil {
			return err
		}
	}
	if o.ContextTar != nil {
		if err := s.unpackContext(ctx, o.ContextTar, dir); err != nil {
			return err
		}
	}
	if err := s.addLocal(localContext, dir); err != nil {
		return err
	}
	for name, v := range o.Named {
		if isLocalContext(v) {
			if err := s.addLocal(name, v); err != nil {
				return fmt.Errorf("build context %s: %w", name, err)
			}
		}
	}
	return nil
}

// unpackContext makes a build context of an archive. Owners do not matter: what is copied from it becomes root's.
func (s *solver) unpackContext(ctx context.Context, r io.Reader, dir string) error {
	plain, _, err := layer.Decompress(ctx, r)
	if err != nil {
		return fmt.Errorf("unpack build context: %w", err)
	}
	defer func() { _ = plain.Close() }() // Extract reads to the end and has the errors
	if _, err := layer.Extract(ctx, dir, plain, layer.Options{PlainWhiteouts: true, TolerateOwner: true}); err != nil {
		return fmt.Errorf("unpack build context: %w", err)
	}
	return nil
}

func (s *solver) addLocal(name, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find %s: %w", dir, err)
	}
	real, err := resolveDir(abs)
	if err != nil {
		return err
	}
	s.locals[name] = real
	return nil
}

// resolveDir is the directory without symlinks: the user named it on the command line, wherever it leads.
func resolveDir(dir string) (string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("path %q not found", dir)
	}
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }() // nothing is read from it
	fi, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, errors.Unwrap(err))
	}
	if !fi.IsDir() {
		return "", fmt.Errorf("path %q is not a directory", dir)
	}
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, errors.Unwrap(err))
	}
	return real, nil
}

// isLocalContext tells a directory from docker-image://, https:// and the like.
func isLocalContext(v string) bool {
	return !strings.Contains(v, "://") && !strings.HasPrefix(v, "git@")
}

// namedContextOpts are the front end's options for --build-context.
func namedContextOpts(named map[string]string) map[string]string {
	opts := map[string]string{}
	for name, v := range named {
		key := name
		if r, err := dref.ParseNormalizedNamed(name); err == nil {
			key = strings.TrimSuffix(dref.FamiliarString(r), ":latest")
		}
		if isLocalContext(v) {
			v = "local:" + name
		}
		opts["context:"+key] = v
	}
	return opts
}

// source opens what a build starts from.
func (s *solver) source(ctx context.Context, v *vertex, src *pb.SourceOp) (*outcome, error) {
	scheme, rest, _ := strings.Cut(src.Identifier, "://")
	switch scheme {
	case "local":
		p := s.b.Progress.Start(cmpOr(v.name, "[internal] load "+rest))
		out, err := s.localSource(rest, src.Attrs)
		p.Done(err)
		return out, err
	case "docker-image":
		return s.imageSource(ctx, v, rest)
	case "http", "https":
		return nil, hint.With(fmt.Errorf("reading %s is not there yet", src.Identifier),
			"download it before the build, and COPY or ADD the file from the build context")
	case "git":
		return nil, hint.With(fmt.Errorf("reading the git repository %s is not there yet", rest),
			"clone it before the build, and pass it with --build-context NAME=DIR or COPY it from the build context")
	}
	return nil, fmt.Errorf("source %s is not there yet", src.Identifier)
}

func (s *solver) localSource(name string, attrs map[string]string) (*outcome, error) {
	dir, ok := s.locals[name]
	if !ok {
		return nil, fmt.Errorf("there is no build context %q", name)
	}
	var excludes []string
	if a := attrs[pb.AttrExcludePatterns]; a != "" {
		if err := json.Unmarshal([]byte(a), &excludes); err != nil {
			return nil, fmt.Errorf("parse exclude patterns: %w", err)
		}
	}
	t, err := newTree(dir, excludes)
	if err != nil {
		return nil, err
	}
	return &outcome{snaps: []*snapshot{{tree: t}}}, nil
}

// imageSource opens the layers of an image that was resolved before.
func (s *solver) imageSource(ctx context.Context, v *vertex, name string) (*outcome, error) {
	s.mu.Lock()
	img := s.images[name]
	s.mu.Unlock()
	p := s.startStep(v)
	layers, err := s.imageLayers(ctx, img, name)
	if err == nil {
		p.Cached()
	}
	p.Done(err)
	if err != nil {
		return nil, err
	}
	return &outcome{snaps: []*snapshot{{Layers: layers}}, created: layerTimes(img, layers)}, nil
}

func (s *solver) imageLayers(ctx context.Context, img *store.Image, name string) ([]string, error) {
	if img == nil {
		return nil, fmt.Errorf("image %s was not resolved", name)
	}
	layers, err := s.b.Store.ImageLayers(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("open layers of %s: %w", name, err)
	}
	return layers, nil
}

// layerTimes are the creation times of an image's layers by its own history.
func layerTimes(img *store.Image, layers []string) map[string]createdAt {
	out := map[string]createdAt{}
	i := 0
	for _, h := range img.Config.History {
		if h.EmptyLayer || i >= len(layers) {
			continue
		}
		if h.Created != nil {
			out[layers[i]] = *h.Created
		}
		i++
	}
	return out
}

// imageLoad is one look-up of an image: stages that start from the same image wait for one pull.
type imageLoad struct {
	once sync.Once
	img  *store.Image
	err  error
}

// resolveImage finds the image called name: in the store, unless --pull, then in its registry.
func (s *solver) resolveImage(ctx context.Context, name string, opt sourceresolver.Opt) (*store.Image, error) {
	s.mu.Lock()
	l := s.loads[name]
	if l == nil {
		l = &imageLoad{}
		s.loads[name] = l
	}
	s.mu.Unlock()
	l.once.Do(func() {
		step := s.b.Progress.Start(cmpOr(opt.LogName, "[internal] load metadata for "+name))
		l.img, l.err = s.loadImage(ctx, name, step)
		step.Done(l.err)
	})
	return l.img, l.err
}

// imagesRead are the images the build has looked up, with their manifests.
func (s *solver) imagesRead() map[string]digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]digest.Digest, len(s.loads))
	for name, l := range s.loads {
		if l.img != nil {
			out[name] = l.img.Target.Digest
		}
	}
	return out
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (s *solver) loadImage(ctx context.Context, name string, step Step) (*store.Image, error) {
	r, err := ref.Parse(name)
	if err != nil {
		return nil, err
	}
	if !s.opts.Pull {
		img, err := s.b.Store.Image(ctx, name)
		if !errors.Is(err, store.ErrNotFound) {
			return img, err
		}
	}
	s.ran.Store(true)
	img, err := s.b.Puller.Pull(ctx, r, step)
	if err != nil {
		s.mu.Lock()
		s.brokenPull = true
		s.mu.Unlock()
		if canceled(err) {
			return nil, err
		}
		hints := imageHints(r, s.opts.Pull)
		var re *registry.Error
		if errors.As(err, &re) && re.Hint != "" {
			hints = append([]string{re.Hint}, hints...)
		}
		return nil, hint.With(err, hints...)
	}
	return img, nil
}

func imageHints(r ref.Reference, pull bool) []string {
	hints := []string{
		"see which images are here:       deckhand images",
		"make one from a root filesystem: deckhand import rootfs.tar " + r.Familiar(),
	}
	if pull {
		hints = append(hints, "use the local image:             build without --pull")
	}
	return hints
}
