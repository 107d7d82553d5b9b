package imagesource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	archive "github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/ref"
)

// podmanStore is a directory in which podman and buildah keep images (github.com/containers/storage): what is known
// of images and layers in JSON files, the layers unpacked.
type podmanStore struct {
	root   string
	driver string // "overlay" or "vfs"
}

// podmanImage is an element of overlay-images/images.json.
type podmanImage struct {
	ID     string        `json:"id"`
	Digest digest.Digest `json:"digest"`
	Names  []string      `json:"names"`
	Layer  string        `json:"layer"` // the topmost
}

// podmanLayer is an element of overlay-layers/layers.json.
type podmanLayer struct {
	ID     string        `json:"id"`
	Parent string        `json:"parent"`
	DiffID digest.Digest `json:"diff-digest"`
}

var errNotInPodman = errors.New("podman does not have it")

// podman finds an image that podman keeps: by reference, or by its id or the beginning of it. As with skopeo, a
// directory may be named: [overlay@/var/lib/containers/storage]REF.
func (s *Source) podman(ctx context.Context, name string) (*guard.Image, error) {
	roots := s.podmanRoots()
	if spec, rest, ok := strings.Cut(strings.TrimPrefix(name, "["), "]"); ok && strings.HasPrefix(name, "[") {
		_, root, _ := strings.Cut(spec, "@")
		root, _, _ = strings.Cut(root, "+")
		roots, name = []string{root}, rest
	}
	var failed error
	for _, root := range roots {
		img, err := s.podmanIn(ctx, root, name)
		switch {
		case err == nil:
			return img, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotInPodman):
		default:
			failed = errors.Join(failed, unreadable(err, root, name))
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, errNotInPodman
}

// unreadable says what can be done where podman's files belong to somebody else.
func unreadable(err error, root, name string) error {
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("podman's storage %s: %w", root, err)
	}
	return fmt.Errorf("podman's storage %s cannot be read by this user; have podman hand the image over "+
		"(podman save -o app.tar %s, then %sapp.tar), or check as podman sees it (podman unshare deckhand check %s%s): %w",
		root, name, schemeDocker, schemePodman, name, err)
}

// podmanRoots are the directories to look in.
func (s *Source) podmanRoots() []string {
	if s.Podman != nil {
		return s.Podman
	}
	system := configuredRoot("/etc/containers/storage.conf", "/var/lib/containers/storage")
	home, err := os.UserHomeDir()
	if err != nil || home == "/" {
		return []string{system}
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		data = filepath.Join(home, ".local/share")
	}
	user := configuredRoot(filepath.Join(home, ".config/containers/storage.conf"), filepath.Join(data, "containers/storage"))
	if os.Geteuid() == 0 {
		return []string{system, user}
	}
	return []string{user, system}
}

// configuredRoot reads graphroot from a storage.conf; where it says none, or there is none, it is the default.
func configuredRoot(conf, otherwise string) string {
	data, err := os.ReadFile(conf)
	if err != nil {
		return otherwise
	}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if ok && strings.TrimSpace(key) == "graphroot" && filepath.IsAbs(value) {
			return value
		}
	}
	return otherwise
}

func openPodman(root string) (*podmanStore, error) {
	var err error
	for _, driver := range []string{"overlay", "vfs"} {
		p := &podmanStore{root: root, driver: driver}
		if _, err = os.Stat(p.path("images", "images.json")); err == nil {
			return p, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			break
		}
	}
	return nil, err
}

func (p *podmanStore) path(kind string, elem ...string) string {
	return filepath.Join(append([]string{p.root, p.driver + "-" + kind}, elem...)...)
}

func (p *podmanStore) read(v any, kind string, elem ...string) error {
	f, err := openRegular(p.path(kind, elem...))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	const most = 64 << 20            // of all layers of a machine
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(v); err != nil {
		return fmt.Errorf("parse %s: %w", f.Name(), err)
	}
	return nil
}

// podmanIn finds an image in one directory.
func (s *Source) podmanIn(_ context.Context, root, name string) (*guard.Image, error) {
	p, err := openPodman(root)
	if err != nil {
		return nil, err
	}
	found, err := p.find(name)
	if err != nil {
		return nil, err
	}
	img := &guard.Image{
		From: "podman's storage " + root, Manifest: found.Digest,
		// The files of an ordinary user's containers have other owners outside its user namespace, and some cannot be
		// read there: good enough to resolve a name, not to judge who may write what.
		Local: os.Geteuid() == 0,
	}
	if img.Config, err = p.config(found); err != nil {
		return nil, err
	}
	layers, err := p.layers(found)
	if err != nil {
		return nil, err
	}
	img.Files = newFiles(layers)
	return img, nil
}

func (p *podmanStore) images() ([]podmanImage, error) {
	var images []podmanImage
	return images, p.read(&images, "images", "images.json")
}

func (p *podmanStore) find(name string) (*podmanImage, error) {
	images, err := p.images()
	if err != nil {
		return nil, err
	}
	var byID []*podmanImage
	for i := range images {
		for _, n := range images[i].Names {
			if samePodmanName(n, name) {
				return &images[i], nil
			}
		}
		if id := strings.TrimPrefix(name, "sha256:"); ref.IsID(name) && strings.HasPrefix(images[i].ID, id) {
			byID = append(byID, &images[i])
		}
	}
	switch len(byID) {
	case 0:
		return nil, errNotInPodman
	case 1:
		return byID[0], nil
	}
	return nil, fmt.Errorf("%d images of podman's have ids that begin with %s", len(byID), name)
}

// samePodmanName compares names; podman keeps what it built as localhost/NAME.
func samePodmanName(have, name string) bool {
	return sameReference(have, name) || sameReference(have, "localhost/"+name)
}

// bigData is the name of the file that a key's value is kept in.
func bigData(key string) string {
	if strings.Trim(key, ".0123456789abcdefghijklmnopqrstuvwxyz") == "" {
		return key
	}
	return "=" + base64.StdEncoding.EncodeToString([]byte(key))
}

func (p *podmanStore) config(img *podmanImage) (dockerspec.DockerOCIImage, error) {
	var config dockerspec.DockerOCIImage
	if !isHex(img.ID) {
		return config, fmt.Errorf("image id %q is none", img.ID)
	}
	var manifest v1.Manifest
	if err := p.read(&manifest, "images", img.ID, "manifest"); err != nil {
		return config, err
	}
	return config, p.read(&config, "images", img.ID, bigData(manifest.Config.Digest.String()))
}

func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }

// layers are the image's, bottom first. They are directories: nothing says what they should hold.
func (p *podmanStore) layers(img *podmanImage) ([]*layer, error) {
	known, err := p.knownLayers()
	if err != nil {
		return nil, err
	}
	var layers []*layer
	for id := img.Layer; id != ""; {
		l, ok := known[id]
		if !ok || !isHex(id) {
			return nil, fmt.Errorf("podman's storage has no layer %s", id)
		}
		layers = append([]*layer{p.layer(l)}, layers...)
		if len(layers) > len(known) {
			return nil, fmt.Errorf("podman's layer %s is below itself", id)
		}
		if p.driver == "vfs" { // each directory holds all that those below have
			break
		}
		id = l.Parent
	}
	return layers, nil
}

func (p *podmanStore) knownLayers() (map[string]podmanLayer, error) {
	known := make(map[string]podmanLayer)
	for _, name := range []string{"layers.json", "volatile-layers.json"} {
		var list []podmanLayer
		err := p.read(&list, "layers", name)
		if err != nil && (name == "layers.json" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
		for _, l := range list {
			known[l.ID] = l
		}
	}
	return known, nil
}

func (p *podmanStore) layer(l podmanLayer) *layer {
	dir := filepath.Join(p.root, "overlay", l.ID, "diff")
	if p.driver == "vfs" {
		dir = filepath.Join(p.root, "vfs", "dir", l.ID)
	}
	out := &layer{name: "layer " + l.ID, open: func(ctx context.Context) (io.ReadCloser, error) { return exported(ctx, dir), nil }}
	if p.driver == "overlay" {
		out.diffID = l.DiffID
	}
	return out
}

// exported is a directory as a tar, which is made while it is read.
func exported(ctx context.Context, dir string) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(archive.Export(ctx, w, dir)) }() // never fails
	return closing{r, []io.Closer{r, closer(cancel)}}
}

type closer func()

// Close implements io.Closer.
func (c closer) Close() error {
	c()
	return nil
}

// listPodman names the images that podman keeps under a name.
func (s *Source) listPodman() ([]string, error) {
	var names []string
	var failed error
	for _, root := range s.podmanRoots() {
		p, err := openPodman(root)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var images []podmanImage
		if err == nil {
			images, err = p.images()
		}
		if err != nil {
			failed = errors.Join(failed, unreadable(err, root, "IMAGE"))
		}
		for _, img := range images {
			for _, n := range img.Names {
				names = append(names, schemePodman+n)
			}
		}
	}
	if len(names) > 0 {
		return names, nil // what another user has is of no matter
	}
	return nil, failed
}
