package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Problem is something Check found.
type Problem struct {
	Path string // below the data root
	What string // what is wrong with it
}

// String is one line.
func (p Problem) String() string { return p.Path + ": " + p.What }

// Check verifies every reference, digest and layer, reading all blobs; it changes nothing. A layer that is
// missing is no problem while its blob is there: it is unpacked again when needed.
func (s *Store) Check(ctx context.Context) ([]Problem, error) {
	c := &checker{s: s}
	for _, step := range []func(context.Context) error{c.blobs, c.images, c.trials, c.layers, c.containers, c.temp} {
		if err := step(ctx); err != nil {
			return c.found, fmt.Errorf("check store: %w", err)
		}
	}
	return c.found, nil
}

type checker struct {
	s     *Store
	found []Problem
}

func (c *checker) report(path, format string, args ...any) {
	c.found = append(c.found, Problem{strings.TrimPrefix(path, c.s.root+"/"), fmt.Sprintf(format, args...)})
}

// each calls f for every name in a directory of the store, sorted.
func (c *checker) each(ctx context.Context, dir string, f func(path, name string)) error {
	names, err := readNames(c.s.path(dir))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		f(c.s.path(dir, name), name)
	}
	return nil
}

func (c *checker) blobs(ctx context.Context) error {
	return c.each(ctx, blobDir, func(path, name string) {
		if strings.HasSuffix(name, ".corrupt") {
			c.report(path, "a damaged blob that was set aside")
			return
		}
		f, err := os.Open(path)
		if err != nil {
			c.report(path, "%v", err)
			return
		}
		defer func() { _ = f.Close() }() // only read
		got, err := digest.SHA256.FromReader(contextReader{ctx, io.Reader(f)})
		switch {
		case err != nil:
			c.report(path, "%v", err)
		case got.Encoded() != name:
			c.report(path, "its content has digest %s", got)
		}
	})
}

func (c *checker) images(ctx context.Context) error {
	err := c.each(ctx, "images", func(dir, repository string) {
		err := c.each(ctx, "images/"+repository, func(path, tag string) {
			r, ok := referenceOf(repository, tag)
			if !ok {
				c.report(path, "no image reference has such a name")
				return
			}
			rec, err := c.s.readRecord(path, r)
			c.image(path, rec, err)
		})
		if err != nil {
			c.report(dir, "%v", err)
		}
	})
	if err != nil {
		return err
	}
	return c.unnamed(ctx, danglingDir)
}

func (c *checker) unnamed(ctx context.Context, dir string) error {
	return c.each(ctx, dir, func(path, _ string) {
		var rec record
		err := readJSON(path, &rec)
		if !errors.Is(err, os.ErrNotExist) { // else removed meanwhile
			c.image(path, &rec, err)
		}
	})
}

// trials may end while they are looked at.
func (c *checker) trials(ctx context.Context) error {
	names, err := c.s.trials()
	for _, name := range names {
		if e := c.unnamed(ctx, tmpDir+"/"+name); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (c *checker) image(path string, rec *record, err error) {
	var img *Image
	if err == nil {
		img, err = c.s.checkedLoad(rec)
	}
	if err != nil {
		c.report(path, "%v", err)
		return
	}
	for _, layer := range img.Manifest.Layers {
		if size, ok := c.s.HasBlob(layer.Digest); !ok || size != layer.Size {
			c.report(path, "layer %s is missing or has another size", layer.Digest)
		}
	}
	chains := chainIDs(img.Config.RootFS.DiffIDs)
	for i, chain := range chains {
		id, ok := c.s.resolveLayer(chain)
		if !ok {
			continue
		}
		if meta, err := c.s.readMeta(id); err == nil && meta.DiffID != "" && meta.DiffID != img.Config.RootFS.DiffIDs[i] {
			c.report("layers/"+id, "has diff id %s, not %s", meta.DiffID, img.Config.RootFS.DiffIDs[i])
		}
	}
}

// checkedLoad reads the image without setting damaged blobs aside.
func (s *Store) checkedLoad(rec *record) (*Image, error) {
	for _, d := range []digest.Digest{rec.Digest, rec.Config} {
		f, err := s.OpenBlob(d)
		if err != nil {
			return nil, err
		}
		got, err := digest.SHA256.FromReader(f)
		_ = f.Close() // only read
		if err != nil || got != d {
			return nil, errors.Join(problemf(ErrCorrupt, "blob %s is damaged", d), err)
		}
	}
	img, err := s.load(rec.Descriptor)
	if err == nil && img.ID != rec.Config {
		err = problemf(ErrCorrupt, "names image %s, its manifest %s", rec.Config, img.ID)
	}
	return img, err
}

func (c *checker) layers(ctx context.Context) error {
	return c.each(ctx, "layers", func(path, name string) {
		if target, err := os.Readlink(path); err == nil {
			if _, err := os.Lstat(c.s.path("layers", target)); err != nil {
				c.report(path, "links to layer %s, which is not there", target)
			}
			return
		}
		if _, err := os.Lstat(path + "/fs"); err != nil {
			c.report(path, "has no files directory")
		}
		if _, err := c.s.readMeta(name); err != nil {
			c.report(path, "%v", err)
		}
	})
}

func (c *checker) containers(ctx context.Context) error {
	err := c.each(ctx, "containers", func(path, id string) {
		if !c.s.hasContainer(id) && c.s.Watched(id) {
			return // being removed
		}
		var rec Container
		if err := readJSON(path+"/container.json", &rec); err != nil {
			c.report(path, "%v", err)
			return
		}
		if rec.ID != id {
			c.report(path, "its record is that of container %s", rec.ID)
		}
		if rec.Name != "" {
			if owner, err := os.Readlink(c.s.path("names", rec.Name)); err != nil || owner != id {
				c.report(path, "its name %s is not its own", rec.Name)
			}
		}
		var state json.RawMessage
		if err := readJSON(path+"/state.json", &state); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.report(path, "%v", err)
		}
	})
	return err
}

// temp reports what nobody holds; the next Open removes it.
func (c *checker) temp(ctx context.Context) error {
	return c.each(ctx, tmpDir, func(path, _ string) {
		if abandoned(path) {
			c.report(path, "left by a dead process")
		}
	})
}
