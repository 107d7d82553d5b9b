package yamltree

import (
	"iter"

	"go.yaml.in/yaml/v4"
)

// Kind is what a value is.
type Kind int

// The kinds. None is a value that is not there.
const (
	None Kind = iota
	Null
	Scalar
	Sequence
	Mapping
)

// String names the kind in words that fit into a message.
func (k Kind) String() string {
	return [...]string{"nothing", "nothing", "a single value", "a list", "a mapping"}[k]
}

// Node is a value of a tree, as it is found under a key or in a list. The zero value is a value that is not there:
// its kind is None, and all that is found in it is not there either.
type Node struct {
	doc   *document
	key   *yaml.Node // nil of the items of a list, and of a document
	value *yaml.Node
	apart bool // key or value were brought by a merge key or alias on the way
}

// pair is a key of a mapping with its value.
type pair struct {
	key, value *yaml.Node
	apart      bool
}

// target is the value itself, behind documents and aliases.
func (n Node) target() *yaml.Node {
	v := n.value
	for v != nil && (v.Kind == yaml.DocumentNode || v.Kind == yaml.AliasNode) {
		switch {
		case v.Kind == yaml.AliasNode:
			v = v.Alias
		case len(v.Content) > 0:
			v = v.Content[0]
		default:
			return nil
		}
	}
	return v
}

// Kind is what the value is, aliases resolved.
func (n Node) Kind() Kind {
	v := n.target()
	switch {
	case v == nil:
		return None
	case v.Kind == yaml.MappingNode:
		return Mapping
	case v.Kind == yaml.SequenceNode:
		return Sequence
	case v.Kind == yaml.ScalarNode && plain(v) && null(v.Value):
		return Null
	case v.Kind == yaml.ScalarNode:
		return Scalar
	}
	return None
}

// Exists reports whether the value is there; null is.
func (n Node) Exists() bool { return n.Kind() != None }

// Apart reports whether the value stands somewhere else than where it was looked for: behind an alias or a merge
// key, where others may use it as well.
func (n Node) Apart() bool { return n.apart || n.value != nil && n.value.Kind == yaml.AliasNode }

// Text is the text of a scalar, without its quotes; empty for all else.
func (n Node) Text() string {
	if n.Kind() != Scalar {
		return ""
	}
	return n.target().Value
}

// Key is the text of the key under which the value was found.
func (n Node) Key() string {
	if n.key == nil {
		return ""
	}
	return n.key.Value
}

// plain reports whether a scalar has neither quotes nor a tag.
func plain(v *yaml.Node) bool { return v.Style == 0 }

// null reports whether a plain scalar means nothing.
func null(text string) bool {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// Get follows keys and, as int, indexes of lists.
func (n Node) Get(path ...any) Node {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			n = n.field(step)
		case int:
			n = n.item(step)
		default:
			return Node{}
		}
	}
	return n
}

func (n Node) field(name string) Node {
	v := n.target()
	if v == nil || v.Kind != yaml.MappingNode {
		return Node{}
	}
	for _, p := range n.doc.pairs(v) { // each key is there once
		if p.key.Value == name {
			return Node{n.doc, p.key, p.value, n.Apart() || p.apart}
		}
	}
	return Node{}
}

func (n Node) item(i int) Node {
	v := n.target()
	if v == nil || v.Kind != yaml.SequenceNode || i < 0 || i >= len(v.Content) {
		return Node{}
	}
	return Node{doc: n.doc, value: v.Content[i], apart: n.Apart()}
}

// Items are the values of a list.
func (n Node) Items() []Node {
	v := n.target()
	if v == nil || v.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, len(v.Content))
	for i := range items {
		items[i] = n.item(i)
	}
	return items
}

// Pairs are the keys of a mapping with their values, merge keys resolved. Each key comes once.
func (n Node) Pairs() iter.Seq2[string, Node] {
	return func(yield func(string, Node) bool) {
		v := n.target()
		if v == nil || v.Kind != yaml.MappingNode {
			return
		}
		for _, p := range n.doc.pairs(v) {
			if !yield(p.key.Value, Node{n.doc, p.key, p.value, n.Apart() || p.apart}) {
				return
			}
		}
	}
}

// pairs are a mapping's pairs, each key once, what merge keys bring included.
func (d *document) pairs(m *yaml.Node) []pair {
	if known, ok := d.merged[m]; ok {
		return known
	}
	d.merged[m] = nil // a mapping that merges itself brings nothing new
	c := collection{at: map[string]int{}, ordered: d.tree.options.Ordered}
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := key(m.Content[i]), m.Content[i+1]
		if !merges(key) {
			c.add(pair{key, value, key != m.Content[i]})
			continue
		}
		for _, p := range d.mergedPairs(value) {
			p.apart = true
			if d.left--; d.left < 0 {
				break
			}
			c.merge(p)
		}
	}
	d.merged[m] = c.pairs
	return c.pairs
}

// key is a key itself, behind an alias.
func key(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// merges reports whether a key is the merge key.
func merges(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && (plain(key) || key.Tag == "!!merge")
}

// mergedPairs are the pairs of the mapping, or the mappings, that a merge key names. Those of the first go before
// those of the next.
func (d *document) mergedPairs(value *yaml.Node) []pair {
	v := (Node{value: value}).target()
	switch {
	case v == nil:
		return nil
	case v.Kind == yaml.MappingNode:
		return d.pairs(v)
	case v.Kind != yaml.SequenceNode:
		return nil
	}
	c := collection{at: map[string]int{}}
	for _, item := range v.Content {
		m := (Node{value: item}).target()
		if m == nil || m.Kind != yaml.MappingNode {
			continue
		}
		for _, p := range d.pairs(m) {
			if d.left--; d.left < 0 {
				return c.pairs
			}
			c.merge(p)
		}
	}
	return c.pairs
}

// collection collects pairs, each key once.
type collection struct {
	pairs   []pair
	at      map[string]int
	ordered bool
}

// add adds a mapping's own pair, which goes before all that was there.
func (c *collection) add(p pair) {
	if i, ok := c.at[p.key.Value]; ok {
		c.pairs[i] = p
		return
	}
	c.at[p.key.Value] = len(c.pairs)
	c.pairs = append(c.pairs, p)
}

// merge adds a pair of another mapping.
func (c *collection) merge(p pair) {
	if _, ok := c.at[p.key.Value]; !ok || c.ordered {
		c.add(p)
	}
}
