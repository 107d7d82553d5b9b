package imagesource

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/flight"
	archive "github.com/deckhand-engine/deckhand/internal/layer"
)

// maxFileBytes is the largest file that Read returns.
const maxFileBytes = 1 << 20

// files looks into layers.
type files struct {
	layers []*layer // the topmost first
	reads  flight.Group[map[string][]byte]
}

var _ guard.Files = (*files)(nil)

// newFiles takes layers in the order of a manifest, bottom first.
func newFiles(layers []*layer) *files {
	layers = slices.Clone(layers)
	slices.Reverse(layers)
	return &files{layers: layers, reads: flight.Group[map[string][]byte]{Most: 4}}
}

// Read implements guard.Files. It asks layers from the top down, and no more of them than it must.
func (f *files) Read(ctx context.Context, paths ...string) (map[string][]byte, error) {
	read, err := f.reads.Do(ctx, strings.Join(paths, "\x00"), func() (map[string][]byte, error) {
		r := &reading{layers: f.layers, tree: newTree(), kept: make(map[place]*kept)}
		return r.read(ctx, paths)
	})
	return maps.Clone(read), err
}

// place is a file in one of the layers.
type place struct {
	layer uint16
	name  string
}

// kept is what a scan found at a place it was to look at.
type kept struct {
	kind  kind
	link  string // of a hard link
	large bool
	data  []byte
}

// reading is one call of Read.
type reading struct {
	layers  []*layer
	tree    *tree
	scanned uint16 // how many layers are in the tree
	kept    map[place]*kept
}

func (r *reading) read(ctx context.Context, paths []string) (map[string][]byte, error) {
	places, err := r.locate(ctx, paths)
	if err != nil {
		return nil, err
	}
	if err := r.collect(ctx, slices.Collect(maps.Values(places))); err != nil {
		return nil, err
	}
	found := make(map[string][]byte)
	var large []string
	for _, p := range paths {
		at, ok := places[p]
		if !ok {
			continue
		}
		k := r.kept[r.end(at)]
		switch {
		case k == nil || k.kind != regular:
		case k.large:
			large = append(large, p)
		default:
			found[p] = k.data
		}
	}
	if len(large) > 0 {
		return found, &guard.TooLargeError{Paths: large}
	}
	return found, nil
}

// locate finds out which layer has which file. On the way it keeps the files it passes.
func (r *reading) locate(ctx context.Context, paths []string) (map[string]place, error) {
	for {
		places := make(map[string]place)
		wanted := make(map[string]bool)
		for _, p := range paths {
			name, n, answer, err := r.tree.resolve(relative(p))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
			switch {
			case answer == found && (n.kind == regular || n.kind == hardlink):
				places[p] = place{n.layer, name}
			case answer == unknown:
				wanted[name] = true
			}
		}
		if len(wanted) == 0 || int(r.scanned) == len(r.layers) {
			return places, nil
		}
		if err := r.scan(ctx, r.scanned, wanted, true); err != nil {
			return nil, err
		}
		r.scanned++
	}
}

func relative(p string) string { return strings.TrimPrefix(path.Join("/", p), "/") }

// collect reads the places that were not kept, and where hard links among them lead.
func (r *reading) collect(ctx context.Context, places []place) error {
	for range maxLinks {
		missing := r.notKept(places)
		if len(missing) == 0 {
			return nil
		}
		for at, names := range missing {
			if err := r.scan(ctx, at, names, false); err != nil {
				return err
			}
			for name := range names {
				if p := (place{at, name}); r.kept[p] == nil {
					r.kept[p] = &kept{kind: gone}
				}
			}
		}
	}
	return errLinks
}

// notKept are the names that are yet to be read, by their layers.
func (r *reading) notKept(places []place) map[uint16]map[string]bool {
	missing := make(map[uint16]map[string]bool)
	for _, at := range places {
		if at = r.end(at); r.kept[at] != nil {
			continue
		}
		if missing[at.layer] == nil {
			missing[at.layer] = make(map[string]bool)
		}
		missing[at.layer][at.name] = true
	}
	return missing
}

// end is the place where hard links lead, as far as they are known. Those that lead in a circle end anywhere.
func (r *reading) end(at place) place {
	for range maxLinks {
		k := r.kept[at]
		if k == nil || k.kind != hardlink {
			break
		}
		at.name = k.link
	}
	return at
}

// scan reads a layer and keeps the wanted names. The last entry of a name counts.
func (r *reading) scan(ctx context.Context, at uint16, wanted map[string]bool, enter bool) error {
	return r.layers[at].scan(ctx, func(hdr *tar.Header, content io.Reader) error {
		e, ok, err := understand(hdr)
		if err != nil || !ok {
			return err
		}
		if enter {
			if _, _, err := e.enter(r.tree, at); err != nil {
				return err
			}
		}
		if e.whiteout || e.opaque || !wanted[e.name] {
			return nil
		}
		k := &kept{kind: e.kind, link: e.link, large: hdr.Size > maxFileBytes}
		if e.kind == regular && !k.large {
			if k.data, err = io.ReadAll(content); err != nil {
				return archive.ArchiveError(err)
			}
		}
		r.kept[place{at, e.name}] = k
		return nil
	})
}

// Walk implements guard.Files. It merges the headers of all layers, the topmost first.
func (f *files) Walk(ctx context.Context, visit func(guard.File) error) error {
	if len(f.layers) >= open {
		return errors.New("it has too many layers")
	}
	t := newTree()
	for i, l := range f.layers {
		w := &walk{tree: t, at: uint16(i), last: make(map[string]int)}
		if err := l.scan(ctx, w.entry); err != nil {
			return err
		}
		if err := w.emit(visit); err != nil {
			return err
		}
	}
	return nil
}

// walk is one layer of a Walk.
type walk struct {
	tree  *tree
	at    uint16
	found []walked
	last  map[string]int // of names that the layer has twice, the one that counts
	links bool           // there are hard links
}

type walked struct {
	guard.File
	visible bool
	link    string // of a hard link
}

func (w *walk) entry(hdr *tar.Header, _ io.Reader) error {
	e, ok, err := understand(hdr)
	if err != nil || !ok {
		return err
	}
	visible, seen, err := e.enter(w.tree, w.at)
	if err != nil || e.whiteout || e.opaque {
		return err
	}
	// What is hidden counts nevertheless where a hard link leads to it.
	if visible || e.kind == regular || e.kind == hardlink {
		err = w.note(e, fileOf(hdr), visible, seen)
	}
	return err
}

func (w *walk) note(e entry, file guard.File, visible, seen bool) error {
	if len(w.found) >= maxNames {
		return errTooManyNames
	}
	f := walked{File: file, visible: visible && e.kind != special}
	f.Path = path.Join("/", e.name)
	if e.kind == symlink {
		f.Link = e.link
	}
	if e.kind == hardlink {
		f.link, w.links = e.link, true
	}
	if seen {
		w.last[f.Path] = len(w.found)
	}
	w.found = append(w.found, f)
	return nil
}

// emit hands out what is visible.
func (w *walk) emit(visit func(guard.File) error) error {
	byPath := w.byPath()
	for i, f := range w.found {
		last, twice := w.last[f.Path]
		if !f.visible || twice && last != i {
			continue
		}
		file := w.linked(f, byPath)
		if t := file.Mode.Type(); t != 0 && t != fs.ModeDir && t != fs.ModeSymlink {
			continue
		}
		if err := visit(file); err != nil {
			return err
		}
	}
	return nil
}

// byPath finds files by their paths; it is nil where no hard link asks for them.
func (w *walk) byPath() map[string]int {
	if !w.links {
		return nil
	}
	byPath := make(map[string]int, len(w.found))
	for i := range w.found {
		byPath[w.found[i].Path] = i
	}
	return byPath
}

// linked is the file that hard links lead to, under the name of the first.
func (w *walk) linked(f walked, byPath map[string]int) guard.File {
	file := f.File
	for n := 0; f.link != "" && n < maxLinks; n++ {
		target, ok := byPath["/"+f.link]
		if !ok {
			break
		}
		f = w.found[target]
		name := file.Path
		file = f.File
		file.Path = name
	}
	return file
}

func fileOf(hdr *tar.Header) guard.File {
	info := hdr.FileInfo()
	f := guard.File{
		Mode: info.Mode(), UID: id(hdr.Uid), GID: id(hdr.Gid), Size: info.Size(),
		Capabilities: capabilities(hdr.PAXRecords["SCHILY.xattr.security.capability"]),
	}
	if hdr.Typeflag == tar.TypeLink {
		f.Mode = f.Mode.Perm() | f.Mode&specialBits // a hard link is the file itself
	}
	return f
}

// id is a uid or gid of a tar header. One that no process can have is nobody's.
func id(n int) uint32 {
	if n < 0 || n > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(n)
}
