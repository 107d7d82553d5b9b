package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// maxFileBytes bounds files that a compose file names.
const maxFileBytes = 16 << 20

// file is a compose file with its text.
type file struct {
	src         guard.Source
	dir         string // of the file, absolute; empty where it is not known
	documents   []yamltree.Node
	environment environment
}

func newFile(src guard.Source, tree *yamltree.Tree) (*file, error) {
	f := &file{src: src, documents: tree.Documents(), environment: environment{}}
	if src.File == "" {
		return f, nil
	}
	abs, err := filepath.Abs(src.File)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", src.File, err)
	}
	f.dir = filepath.Dir(abs)
	f.environment, err = readEnvironment(filepath.Join(f.dir, ".env"))
	if err != nil {
		return nil, &guard.SyntaxError{Line: 1, Text: err.Error()}
	}
	return f, nil
}

// readable says why a file that is named is not read: it is none, or too large.
func readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", path)
	case info.Size() > maxFileBytes:
		return fmt.Errorf("%s is larger than %d MiB", path, maxFileBytes>>20)
	}
	return nil
}

// get is a value of the file; of several documents the last one's.
func (f *file) get(path ...any) yamltree.Node {
	for i := range f.documents {
		if n := f.documents[len(f.documents)-1-i].Get(path...); n.Exists() {
			return n
		}
	}
	return yamltree.Node{}
}

// container is a service, a job or a hook: what runs a container.
type container struct {
	file    *file
	project *types.Project
	name    string
	spec    *types.ContainerSpec
	work    *types.WorkloadSpec
	// chain is where values stand: the service itself, and what it extends in the same file.
	chain []yamltree.Node
	where guard.Location
	own   bool // chain's first is the service itself, and not what it extends
}

func (f *file) container(project *types.Project, section, name string, spec *types.ContainerSpec) *container {
	c := &container{file: f, project: project, name: strings.TrimSuffix(section, "s") + " " + name, spec: spec}
	c.chain = f.chain(section, name)
	if n := f.get(section, name); n.Exists() {
		c.where = n.KeyPlace()
		c.own = n.Kind() == yamltree.Mapping
		return c
	}
	c.where = guard.Location{Path: f.src.Path, Line: max(f.get("include").Line(), 1)}
	return c
}

// hook is a container that runs before a service starts, of the service's image if it does not name one.
func (c *container) hook(i int, spec *types.ContainerSpec) *container {
	h := &container{file: c.file, project: c.project, name: fmt.Sprintf("%s, pre_start %d", c.name, i+1), spec: spec}
	h.where, h.work = c.where, &types.WorkloadSpec{}
	for _, n := range c.chain {
		if hook := n.Get("pre_start", i); hook.Exists() {
			h.chain, h.where, h.own = []yamltree.Node{hook}, hook.KeyPlace(), true
			break
		}
	}
	if spec.Image == "" {
		spec.Image, h.work.Build = c.spec.Image, c.work.Build
	}
	return h
}

// chain follows extends within the file.
func (f *file) chain(section, name string) []yamltree.Node {
	var found []yamltree.Node
	for seen := map[string]bool{}; name != "" && !seen[name]; {
		seen[name] = true
		n := f.get(section, name)
		found = append(found, n)
		extends := n.Get("extends")
		name = extends.Text()
		if extends.Kind() == yamltree.Mapping && !extends.Get("file").Exists() {
			name = extends.Get("service").Text()
		}
	}
	return found
}

// find is where a value stands; it does not exist where that is another file.
func (c *container) find(path ...any) yamltree.Node {
	for _, n := range c.chain {
		if found := n.Get(path...); found.Exists() {
			return found
		}
	}
	return yamltree.Node{}
}

// standIn is the line of the service, for what stands in another file.
func (c *container) standIn() guard.Location {
	return guard.Location{Path: c.file.src.Path, Line: c.where.Line}
}

// place is the range of a value, or the service's line.
func (c *container) place(path ...any) guard.Location {
	if n := c.find(path...); n.Exists() {
		return n.Value()
	}
	return c.standIn()
}

// item is the range of the first item of a list that matches, or else the list's line, or the service's.
func (c *container) item(list string, match func(yamltree.Node) bool) guard.Location {
	at := c.standIn()
	for _, n := range c.chain {
		found := n.Get(list)
		for _, item := range found.Items() {
			if match(item) {
				return item.Value()
			}
		}
		if found.Exists() && at == c.standIn() {
			at.Line = found.KeyPlace().Line
		}
	}
	return at
}

// text matches an item by its text, variables expanded.
func (c *container) text(want string) func(yamltree.Node) bool {
	return func(n yamltree.Node) bool { return n.Text() == want || c.file.environment.expand(n.Text()) == want }
}

// entry is the place of a key's value, in a mapping or in a list of KEY=VALUE; the node is the value or the item.
func (c *container) entry(name string, path ...any) (yamltree.Node, bool) {
	for _, n := range c.chain {
		found := n.Get(path...)
		if value := found.Get(name); value.Exists() {
			return value, true
		}
		for _, item := range found.Items() {
			key, _, _ := strings.Cut(c.file.environment.expand(item.Text()), "=")
			if key == name {
				return item, true
			}
		}
	}
	return yamltree.Node{}, false
}
