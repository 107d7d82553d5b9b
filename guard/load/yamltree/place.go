package yamltree

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/deckhand-engine/deckhand/guard"
)

// Path is the path of the tree, as its locations have it.
func (t *Tree) Path() string { return t.path }

// Line is the line at which the value begins.
func (n Node) Line() int { return n.Value().Line }

// Value is the range of the value itself: of a scalar with its quotes, without anchor and tag. Behind an alias it
// is the value that the alias stands for.
func (n Node) Value() guard.Location {
	v := n.target()
	if v == nil {
		return guard.Location{}
	}
	return n.doc.location(n.doc.begin(v), n.doc.end(v))
}

// Pair is the range from the key to the end of the value. Of what has no key, or is an alias, it is the value's.
func (n Node) Pair() guard.Location {
	if n.key == nil || n.value == nil || n.value.Kind == yaml.AliasNode {
		return n.Value()
	}
	return n.doc.location(n.doc.begin(n.key), n.doc.end(n.value))
}

// KeyPlace is the range of the key; of what has none, as an item of a list, where it begins: its first pair, if
// that is on one line, or what else is on the first line.
func (n Node) KeyPlace() guard.Location {
	if n.key != nil {
		return n.doc.location(n.doc.begin(n.key), n.doc.end(n.key))
	}
	v := n.target()
	if v == nil {
		return guard.Location{}
	}
	first := Node{doc: n.doc, value: v}
	if v.Kind == yaml.MappingNode && len(v.Content) > 1 {
		first = Node{doc: n.doc, key: v.Content[0], value: v.Content[1]}
	}
	l := first.Pair()
	if begin := n.doc.begin(v); l.EndLine != l.Line || first.value.Kind == yaml.AliasNode {
		return n.doc.location(begin, begin+len(firstLine(n.doc.source[begin:])))
	}
	return l
}

// Block reports whether the value is a mapping in block style, so that lines can be added to it.
func (n Node) Block() bool {
	v := n.target()
	return v != nil && v.Kind == yaml.MappingNode && v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0
}

// Own are the pairs that stand in a mapping itself, in order.
func (n Node) Own() []Node {
	v := n.target()
	if v == nil || v.Kind != yaml.MappingNode {
		return nil
	}
	own := make([]Node, 0, len(v.Content)/2)
	for i := 0; i+1 < len(v.Content); i += 2 {
		own = append(own, Node{n.doc, v.Content[i], v.Content[i+1], n.Apart()})
	}
	return own
}

func firstLine(text []byte) []byte {
	if i := bytes.IndexAny(text, "\r\n"); i >= 0 {
		text = text[:i]
	}
	return bytes.TrimRight(text, " \t")
}

func (d *document) location(start, end int) guard.Location {
	return d.tree.location(d.offset+start, d.offset+end)
}

// begin is the offset of a node behind its anchor and tag.
func (d *document) begin(n *yaml.Node) int {
	at := d.mark(n)
	if n.Kind == yaml.AliasNode {
		return at
	}
	for {
		length := propertyLength(d.source[at:], n)
		if length == 0 {
			return at
		}
		at += length
		if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&(quoted|block) == 0 {
			continue // nothing follows, but what belongs to somebody else
		}
		at = d.skipSpace(at)
	}
}

const (
	quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle
	block  = yaml.LiteralStyle | yaml.FoldedStyle
)

// propertyLength is the length of the node's anchor or tag where the text begins with one. What a mapping begins
// with may be its first key's.
func propertyLength(text []byte, n *yaml.Node) int {
	switch {
	case n.Anchor != "" && bytes.HasPrefix(text, []byte("&"+n.Anchor)):
		return 1 + len(n.Anchor)
	case len(text) == 0 || text[0] != '!' || n.Kind != yaml.ScalarNode && n.Style&yaml.TaggedStyle == 0:
		return 0
	}
	end := " \t\r\n,[]{}"
	if bytes.HasPrefix(text, []byte("!<")) {
		end = " \t\r\n"
	}
	if i := bytes.IndexAny(text, end); i >= 0 {
		return i
	}
	return len(text)
}

// mark is the offset of a node's line and column.
func (d *document) mark(n *yaml.Node) int {
	if n.Line < 1 {
		return 0
	}
	if n.Line > len(d.lines) {
		return len(d.source)
	}
	at := d.lines[n.Line-1]
	for range n.Column - 1 {
		if at >= len(d.source) {
			return len(d.source)
		}
		_, size := utf8.DecodeRune(d.source[at:])
		at += size
	}
	return at
}

// skipSpace is the offset of what follows space, line breaks and comments.
func (d *document) skipSpace(at int) int {
	for at < len(d.source) {
		switch d.source[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			at += len(firstLine(d.source[at:]))
		default:
			return at
		}
	}
	return at
}

// end is the offset behind a node.
func (d *document) end(n *yaml.Node) int {
	start := d.begin(n)
	switch n.Kind {
	case yaml.AliasNode:
		return min(start+1+len(n.Value), len(d.source))
	case yaml.ScalarNode:
		return d.scalarEnd(n, start)
	default:
		return d.collectionEnd(n, start)
	}
}

func (d *document) collectionEnd(n *yaml.Node, start int) int {
	end := start
	if len(n.Content) > 0 {
		end = max(end, d.end(n.Content[len(n.Content)-1]))
	}
	if n.Style&yaml.FlowStyle == 0 || start >= len(d.source) || d.source[start] != '{' && d.source[start] != '[' {
		return end
	}
	if end == start {
		end++
	}
	for end = d.skipSpace(end); end < len(d.source); end = d.skipSpace(end + 1) {
		if c := d.source[end]; c == '}' || c == ']' {
			return end + 1
		}
	}
	return end
}

func (d *document) scalarEnd(n *yaml.Node, start int) int {
	text := d.source[start:]
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return start + quotedLength(text, '\\')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return start + quotedLength(text, '\'')
	case n.Style&block != 0:
		return start + blockLength(text, strings.Trim(n.Value, "\n") != "")
	}
	return start + plainLength(text, n.Value)
}

// quotedLength is the length of a quoted scalar in which escape, which may be the quote itself, escapes one byte.
func quotedLength(text []byte, escape byte) int {
	if len(text) == 0 {
		return 0
	}
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && (escape != quote || i+1 < len(text) && text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// blockLength is the length of a block scalar, from its | or > to the end of its last line that is not empty.
func blockLength(text []byte, content bool) int {
	end := len(firstLine(text))
	if !content {
		return end
	}
	indent := -1
	next := bytes.IndexByte(text, '\n') + 1
	for at := next; next > 0 && at < len(text); at = next {
		line := text[at:]
		if next = bytes.IndexByte(line, '\n') + 1; next > 0 {
			line = line[:next-1]
			next += at
		}
		body := bytes.TrimLeft(line, " ")
		if len(bytes.TrimRight(body, "\r")) == 0 {
			continue
		}
		if indent < 0 {
			indent = len(line) - len(body)
		}
		if len(line)-len(body) < indent {
			break
		}
		end = at + len(bytes.TrimRight(line, "\r"))
	}
	return end
}

// plainLength is the length of a plain scalar: its text, but for the space at line breaks.
func plainLength(text []byte, value string) int {
	if bytes.HasPrefix(text, []byte(value)) {
		return len(value)
	}
	at, end := 0, 0
	for word := range strings.FieldsSeq(value) {
		at += len(text[at:]) - len(bytes.TrimLeft(text[at:], " \t\r\n"))
		if !bytes.HasPrefix(text[at:], []byte(word)) {
			break
		}
		at += len(word)
		end = at
	}
	return end
}
