package imagesource

import (
	"errors"
	"hash/maphash"
	"math"
	"path"
	"strings"
)

// Bounds of a tree. An image of a desktop has some hundred thousand names.
const (
	maxNames     = 2_000_000
	maxLinkBytes = 64 << 20
)

var errTooManyNames = errors.New("its layers have more names than can be looked through")

// kind is what a name stands for.
type kind uint8

const (
	implied  kind = iota // a directory that a layer has files in but no entry for
	gone                 // deleted from the layers below
	dir                  //
	regular              //
	symlink              //
	hardlink             // another name of a file of the same layer
	special              // a device, a pipe
)

func (k kind) isDir() bool { return k == dir || k == implied }

// open is the barrier of a name that hides nothing.
const open = math.MaxUint16

// node is what the layers read so far say of a name.
type node struct {
	link    uint32 // index into tree.links
	layer   uint16 // the topmost that says so; 0 is the top
	barrier uint16 // what layers below this one have below the name is hidden
	ends    uint16 // so is what they have of the name itself
	kind    kind
	upper   bool // a layer above layer has the name as a directory as well
}

// hide hides what the layers below have of the name.
func (n *node) hide(layer uint16) {
	n.barrier, n.ends = min(n.barrier, layer), min(n.ends, layer)
}

// tree merges layers from the topmost down. It keeps names as hashes, so that it is small where layers are large.
// Names are clean and relative; "." is the root.
type tree struct {
	seed  maphash.Seed
	nodes map[uint64]node
	links []string
	bytes int // of links
}

func newTree() *tree {
	return &tree{seed: maphash.MakeSeed(), nodes: make(map[uint64]node)}
}

func (t *tree) key(name string) uint64 { return maphash.String(t.seed, name) }

func (t *tree) get(name string) (node, bool) {
	n, ok := t.nodes[t.key(name)]
	return n, ok
}

func (t *tree) set(name string, n node) { t.nodes[t.key(name)] = n }

// hidden reports whether a layer above hides what this one has below one of the name's directories.
func (t *tree) hidden(name string, layer uint16) bool {
	for name != "." {
		name = path.Dir(name)
		if n, ok := t.get(name); ok && n.barrier < layer {
			return true
		}
	}
	return false
}

// add enters a name of a layer. Layers come from the top, a layer's entries in their order; the last of a name
// counts. seen says that the layer had the name before; visible, that no layer above hides the entry.
func (t *tree) add(layer uint16, name string, k kind, link string) (visible, seen bool, err error) {
	if t.hidden(name, layer) {
		return false, false, nil
	}
	t.addParents(layer, name)
	at, err := t.addLink(k, link)
	if err != nil {
		return false, false, err
	}
	n, known := t.get(name)
	switch {
	case !known:
		n = node{kind: k, layer: layer, barrier: open, ends: open}
	case n.ends < layer: // something else, or nothing, in a layer above
		return false, false, nil
	case n.layer == layer && !n.upper:
		seen = n.kind != gone && n.kind != implied
		n.kind = k
	case k.isDir(): // n is a directory of a layer above, which may have no entry for it
		if n.kind == implied {
			t.set(name, node{kind: dir, layer: layer, barrier: n.barrier, ends: n.ends, upper: true})
			return true, false, nil
		}
		return n.layer == layer, n.layer == layer, nil
	default:
		n.hide(layer)
		t.set(name, n)
		return false, false, nil
	}
	n.link = at
	if !k.isDir() {
		n.hide(layer)
	}
	t.set(name, n)
	return true, seen, t.full()
}

func (t *tree) addLink(k kind, link string) (uint32, error) {
	if k != symlink && k != hardlink {
		return 0, nil
	}
	if t.bytes += len(link); t.bytes > maxLinkBytes {
		return 0, errTooManyNames
	}
	t.links = append(t.links, link)
	return uint32(len(t.links) - 1), nil //nolint:gosec // fewer than maxNames
}

func (t *tree) full() error {
	if len(t.nodes) > maxNames {
		return errTooManyNames
	}
	return nil
}

// addParents makes the directories that an entry implies.
func (t *tree) addParents(layer uint16, name string) {
	for name != "." {
		name = path.Dir(name)
		n, known := t.get(name)
		switch {
		case !known:
			t.set(name, node{kind: implied, layer: layer, barrier: open, ends: open})
		case n.kind == gone && n.layer == layer:
			n.kind = implied
			t.set(name, n)
		default:
			return // its own parents are there
		}
	}
}

// remove enters that a layer deletes a name from those below.
func (t *tree) remove(layer uint16, name string) error {
	if t.hidden(name, layer) {
		return nil
	}
	t.addParents(layer, name)
	n, known := t.get(name)
	if !known {
		n = node{kind: gone, layer: layer, barrier: open, ends: open}
	}
	n.hide(layer)
	t.set(name, n)
	return t.full()
}

// conceal enters that a layer's directory hides what those below have in it.
func (t *tree) conceal(layer uint16, name string) error {
	if t.hidden(name, layer) {
		return nil
	}
	t.addParents(layer, path.Join(name, "x"))
	n, _ := t.get(name)
	n.barrier = min(n.barrier, layer)
	t.set(name, n)
	return t.full()
}

// answer is what is known of a name.
type answer int

const (
	unknown answer = iota // a layer further down may have it
	missing
	found
)

// find looks a name up whose parents are known to be directories.
func (t *tree) find(name string) (node, answer) {
	n, known := t.get(name)
	switch {
	case known && n.kind == gone:
		return n, missing
	case known:
		return n, found
	case t.hidden(name, math.MaxUint16):
		return n, missing
	}
	return n, unknown
}

// maxLinks is how many symbolic links are followed on the way to one file, as Linux has it.
const maxLinks = 40

var errLinks = errors.New("too many levels of symbolic links")

// resolve follows a path to a file, symbolic links inside the tree included. Where the answer is unknown, name is
// what a layer further down may have; where it is found, name and node are the file's.
func (t *tree) resolve(name string) (string, node, answer, error) { //nolint:revive // the answer needs its name and node
	at, rest := ".", strings.Split(name, "/")
	for followed := 0; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		if word == ".." {
			at = path.Dir(at)
		}
		if len(word) <= len("..") && strings.Trim(word, ".") == "" {
			continue
		}
		next := path.Join(at, word)
		n, a := t.find(next)
		switch {
		case a == unknown:
			return path.Join("/", next, path.Join(rest...))[1:], n, unknown, nil
		case a == missing:
			return next, n, missing, nil
		case n.kind.isDir():
			at = next
		case n.kind == symlink:
			at, rest = t.follow(n, at, rest)
			if followed++; followed > maxLinks || len(rest) > maxPathWords {
				return next, n, missing, errLinks
			}
		default:
			return next, n, lastOf(rest), nil
		}
	}
	return at, node{}, missing, nil // a directory
}

// follow is where a symbolic link in directory at leads, with what is left of the path.
func (t *tree) follow(n node, at string, rest []string) (from string, words []string) {
	target := t.links[n.link]
	if strings.HasPrefix(target, "/") {
		at = "."
	}
	return at, append(strings.Split(target, "/"), rest...)
}

// lastOf is the answer at a file: found, unless the path goes on below it.
func lastOf(rest []string) answer {
	if strings.Trim(path.Join(rest...), "/.") != "" {
		return missing
	}
	return found
}

// maxPathWords bounds a path that symbolic links make longer and longer.
const maxPathWords = 4096
