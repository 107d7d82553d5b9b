package proof

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// field is an entry of a YAML mapping.
type field struct {
	key   string
	value *yaml.Node // nil: the field is left out
	// comment stands above the field. It is ours: no text of an image is in it that plain has not seen.
	comment string
}

// object is a mapping with its fields in that order; nil where none of them has a value.
func object(fields ...field) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range fields {
		if f.value != nil {
			key := text(f.key)
			key.HeadComment = f.comment
			node.Content = append(node.Content, key, f.value)
		}
	}
	if len(node.Content) == 0 {
		return nil
	}
	return node
}

// list is a sequence; nil where it would be empty.
func list(items ...*yaml.Node) *yaml.Node {
	if len(items) == 0 {
		return nil
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// inline is a list or an object on one line; nil stays nil.
func inline(node *yaml.Node) *yaml.Node {
	if node != nil {
		node.Style = yaml.FlowStyle
	}
	return node
}

// text is a string, quoted where YAML would read something else.
func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// quoted is a string that some reader of YAML would take for a number: "9000:9000" is one to the base of sixty.
func quoted(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

func boolean(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

func number(n uint64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatUint(n, 10)}
}

// mapped makes an item of each element.
func mapped[T any](elements []T, item func(T) *yaml.Node) []*yaml.Node {
	items := make([]*yaml.Node, len(elements))
	for i, e := range elements {
		items[i] = item(e)
	}
	return items
}

// documents writes a comment and the documents below it.
func documents(comment []string, all ...*yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comments(comment))
	for i, document := range all {
		if i > 0 {
			b.WriteString("---\n")
		}
		content, err := yaml.Dump(document, yaml.WithIndent(2), yaml.WithLineWidth(-1))
		if err != nil {
			return nil, fmt.Errorf("encode YAML: %w", err)
		}
		b.Write(content)
	}
	return b.Bytes(), nil
}

// comments are lines that YAML and a shell pass over.
func comments(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight("# "+plain(line), " ") + "\n")
	}
	return b.String()
}
